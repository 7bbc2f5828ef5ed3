"""The commands of `ebm` that put a trained model to work on files, or draw from it."""

from pathlib import Path
from typing import Annotated

import typer

from flows.command import HERE, Force, Json, Name, Out, Seed, command


@command
def sample(
    name: Name,
    count: Annotated[int, typer.Option(min=1, help="How many.")] = 16,
    seed: Seed = 0,
    out: Out = None,
    each: Annotated[
        bool, typer.Option("--each", help="A file for each, in a folder, instead of one sheet.")
    ] = False,
    force: Force = False,
) -> None:
    """Draw from a trained model: pictures on one sheet, points in a .csv, molecules in a .smi.

    The file is written in the folder you are in. Sample i depends on the seed and i alone: a
    larger count adds samples and changes none.

    Examples: [bold]ebm sample multigrid-digits --count 64 --seed 7[/bold];
    [bold]ebm sample multigrid-digits --each --out digits[/bold];
    [bold]ebm sample molecules-zinc --count 1000[/bold], a SMILES a line
    """
    from flows.on_files import Asked, samples

    for line in samples(Asked(name, HERE.get(), out, force), count, seed, each):
        typer.echo(line)


@command
def inpaint(
    name: Name,
    image: Annotated[Path, typer.Argument(help="A picture.")],
    mask: Annotated[
        Path, typer.Argument(help="A picture of the same size: white is filled, black is kept.")
    ],
    *,
    completions: Annotated[int, typer.Option(min=1, help="Different fills.")] = 4,
    seed: Seed = 0,
    out: Out = None,
    force: Force = False,
) -> None:
    """Fill in the part of a picture that a mask hides, several times, as the model sees fit.

    The mask is what image editors make: paint white what is to be filled, leave black the rest.
    Picture and mask are brought to the model's size alike, by their centre square; a pixel of the
    model is filled where any white has a part in it. Written is a row: the picture, the hole, the
    completions, and where these differ.

    Example: [bold]ebm inpaint multigrid-digits seven.png seven-mask.png --completions 6[/bold]
    """
    from flows.on_files import Asked
    from flows.on_files import completions as fill

    asked = Asked(name, HERE.get(), out, force)
    for line in fill(asked, image, mask, completions, seed):
        typer.echo(line)


@command
def translate(
    name: Name,
    image: Annotated[Path, typer.Argument(help="A picture of the source's kind.")],
    *,
    seed: Seed = 0,
    out: Out = None,
    force: Force = False,
) -> None:
    """Take a picture to the domain that a model has learned, by its chain from the picture on.

    Written is a row: the picture, states of the chain, the last the translation, and what moved.

    Example: [bold]ebm translate translate-anime-hair face.png[/bold]
    """
    from flows.on_files import Asked, translation

    for line in translation(Asked(name, HERE.get(), out, force), image, seed):
        typer.echo(line)


@command
def interpolate(
    name: Name,
    first: Annotated[Path, typer.Argument(help="A picture.")],
    last: Annotated[Path, typer.Argument(help="Another one.")],
    *,
    frames: Annotated[int, typer.Option(min=2, help="Images of the way.")] = 8,
    out: Out = None,
    force: Force = False,
) -> None:
    """Go from one picture to another through the latent space of a model.

    Example: [bold]ebm interpolate latent-mnist one.png seven.png[/bold]
    """
    from flows.on_files import Asked, way

    for line in way(Asked(name, HERE.get(), out, force), first, last, frames):
        typer.echo(line)


@command
def reconstruct(
    name: Name,
    files: Annotated[list[Path], typer.Argument(help="Pictures.")],
    *,
    out: Out = None,
    force: Force = False,
) -> None:
    """Show pictures beside what a latent-space model makes of them, with the error of each.

    Example: [bold]ebm reconstruct latent-mnist seven.png[/bold]
    """
    from flows.on_files import Asked, reconstructions

    for line in reconstructions(Asked(name, HERE.get(), out, force), files):
        typer.echo(line)


@command
def forecast(
    name: Name,
    file: Annotated[
        Path, typer.Argument(help="Positions, a line each: frame, agent, x, y; commas or blanks.")
    ],
    *,
    count: Annotated[int, typer.Option(min=1, help="Predictions of each agent.")] = 20,
    seed: Seed = 0,
    out: Out = None,
    force: Force = False,
) -> None:
    """Predict where those in a file walk on, several times each, by a model of trajectories.

    Forecast is who is seen in the last frames of the file without a gap, in the units and at the
    rate of the training data. Written are the predictions, `agent,prediction,frame,x,y`, and a
    picture of the fans.

    Example: [bold]ebm forecast trajectory-zara1 square.csv[/bold]
    """
    from flows.on_files import Asked, forecasts

    for line in forecasts(Asked(name, HERE.get(), out, force), file, count, seed):
        typer.echo(line)


@command
def score(
    name: Name,
    files: Annotated[list[Path], typer.Argument(help="Pictures, folders of them, or text files.")],
    as_json: Json = False,
) -> None:
    """Rank pictures, rows or molecules by f(x), the likeliest first, as a trained model sees them.

    f(x) is log p(x) up to a constant, log Z, which nobody knows: figures of one model can be
    compared, not those of two. What is no picture is named and left out; the status is 1 if
    nothing could be read. A model of points takes a csv of its columns, one of molecules a file
    with a SMILES a line; a wrong line is named, and nothing is ranked.

    Examples: [bold]ebm score multigrid-digits pictures/[/bold];
    [bold]ebm score multigrid-digits a.png b.jpg --json[/bold];
    [bold]ebm score molecules-moses mine.smi[/bold]
    """
    from flows.on_files import Asked, ranking, ranking_json, ranking_lines

    found = ranking(Asked(name, HERE.get()), files)
    if as_json:
        typer.echo(ranking_json(name, found))
    elif found.scores:
        for line in ranking_lines(name, found):
            typer.echo(line)
    for file, why in found.left_out.items():
        typer.echo(f"left out: {file}: {why}", err=True)
    if not found.scores:
        typer.echo("ebm: there is no picture to score", err=True)
        raise typer.Exit(1)
