"""The command line `ebm`: a function a command; what it needs is imported when it is called."""

import functools
import json
import os
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

import typer

DEFAULT = "multigrid-digits"
HERE: ContextVar[Path] = ContextVar("HERE")  # the folder that the command was called in
app = typer.Typer(
    help="Energy-based models, end to end: data, training, samples, metrics, report.\n\n"
    "Begin with [bold]ebm run[/bold], then open the report it names. "
    "[bold]ebm COMMAND --help[/bold] has an example of each command.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

Name = Annotated[str, typer.Argument(help="An experiment of params.yaml, as `ebm list` shows.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same pictures.")]
Out = Annotated[
    Path | None, typer.Option(help="A folder, or a file that ends with .png; this folder if none.")
]
Force = Annotated[bool, typer.Option("--force", help="Write over what is there.")]


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Make a command that runs in the project's folder and says its errors in one sentence."""

    @functools.wraps(function)
    def guarded(*arguments: Any, **options: Any) -> None:
        before = Path.cwd()
        HERE.set(before)
        try:
            os.chdir(project())
            function(*arguments, **options)
        except (typer.Exit, typer.Abort):
            raise
        except KeyboardInterrupt:
            typer.echo("ebm: stopped; run it again and it goes on where it was", err=True)
            raise typer.Exit(130) from None
        except BrokenPipeError:  # `ebm list | head` has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            raise typer.Exit(0) from None
        except Exception as error:  # DVC and Prefect have their own, by the dozen
            if os.environ.get("EBM_DEBUG"):
                raise
            typer.echo(f"ebm: {sentence(error)}", err=True)
            raise typer.Exit(1) from None
        finally:
            os.chdir(before)

    return app.command(function.__name__.rstrip("_"))(guarded)


def project() -> Path:
    """Return the folder of the project: this one, or the nearest above that holds params.yaml."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "params.yaml").is_file():
            return folder
    raise ValueError(f"there is no params.yaml in {here} or above; go to the project's folder")


def sentence(error: Exception) -> str:
    """Say an error in a line, as a person would."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'a file'}: {error.strerror}"
    text = " ".join(str(error).split()) or type(error).__name__
    expected = isinstance(error, ValueError | RuntimeError | FileNotFoundError)
    return text if expected else f"{text} (EBM_DEBUG=1 shows where)"


def show_table(table: Any) -> None:
    """Print a table as wide as the terminal, or as it needs where there is none."""
    from rich.console import Console

    console = Console()
    Console(width=None if console.is_terminal else 160).print(table)


@command
def list_(as_json: Json = False) -> None:
    """List the experiments: system, data, device, minutes of the last run, metrics.

    Example: [bold]ebm list --json[/bold]
    """
    from flows import results
    from tasks.paths import Paths

    rows = results.list_rows(Paths())
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    else:
        show_table(results.list_table(rows))


@command
def show(name: Name) -> None:
    """Show an experiment: its settings, its stages and what they stand on, how long it takes.

    Example: [bold]ebm show multigrid-digits[/bold]
    """
    from flows.describe import describe
    from tasks.paths import Paths

    for line in describe(Paths(), name):
        typer.echo(line)


@command
def why(name: Name) -> None:
    """Say which stages would run again, and because of which setting or file.

    Change a number in params.yaml and look: [bold]ebm why multigrid-digits[/bold]
    """
    from flows.describe import reasons
    from tasks.paths import Paths

    for line in reasons(Paths(), name):
        typer.echo(line)


@command
def run(
    names: Annotated[
        list[str] | None, typer.Argument(help=f"Experiments; {DEFAULT} if none is given.")
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="Run this stage alone, as `ebm show` names it.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE, a setting changed for this run; may be repeated."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Run even what is up to date, from the start.")
    ] = False,
) -> None:
    """Run experiments; what is up to date is not run again.

    Examples: [bold]ebm run[/bold], or a quick look with fewer updates, params.yaml untouched:
    [bold]ebm run multigrid-digits --set train.grid-8.fit.updates=100[/bold]; `ebm keep` takes the
    change over.
    """
    from flows.environment import prepare_environment
    from tasks.paths import Paths

    prepare_environment()
    from flows.running import Request, run_tracked

    asked = Request(names or [DEFAULT], only, tuple(changes or ()), force)
    complain = functools.partial(typer.echo, err=True)
    if not run_tracked(Paths(), asked, show_table, typer.echo, complain):
        raise typer.Exit(1)


@command
def keep() -> None:
    """Write the changes of the last `ebm run --set ...` into params.yaml, its comments kept.

    Example: [bold]ebm run --set train.joint.fit.updates=900[/bold], then [bold]ebm keep[/bold]
    """
    from flows import overrides
    from tasks.paths import Paths

    for key, value in overrides.keep(Paths()).items():
        typer.echo(f"params.yaml: {key} is now {value}")


@command
def results(
    name: Annotated[str | None, typer.Argument(help="One experiment; all if none.")] = None,
    as_json: Json = False,
    csv: Annotated[
        Path | None, typer.Option(resolve_path=True, help="Write the table to this csv file.")
    ] = None,
) -> None:
    """Show what was measured, beside floor, ceiling, the seed's figure and the goal.

    Example: [bold]ebm results multigrid-digits --csv results.csv[/bold]
    """
    from flows import results as rows_of
    from tasks.paths import Paths

    paths = Paths()
    rows = rows_of.result_rows(paths, [name] if name else None)
    for line in rows_of.warnings(paths, dict.fromkeys(row["experiment"] for row in rows)):
        typer.echo(line, err=True)
    if csv:
        rows_of.frame(rows).to_csv(csv, index=False)
        typer.echo(f"{len(rows)} rows are in {csv}", err=True)
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    elif rows:
        show_table(rows_of.result_table(rows))
        for line in rows_of.regimes(paths, dict.fromkeys(row["experiment"] for row in rows)):
            typer.echo(line)
    else:
        typer.echo(f"No results yet; `ebm run {name or DEFAULT}` makes them.", err=True)


@command
def report(name: Name) -> None:
    """Write an experiment's report again, and say where it is.

    Example: [bold]ebm report multigrid-digits[/bold]
    """
    from flows.results import experiments, pick
    from tasks.paths import Paths
    from tasks.report import render

    pick(experiments(Paths()), name)
    typer.echo(str(render(name, Paths()).resolve()))


@command
def leaderboard() -> None:
    """Write results/index.html, every system's figures side by side, and say where it is.

    Example: [bold]ebm leaderboard[/bold]
    """
    from tasks import settings
    from tasks.paths import Paths
    from tasks.report.leaderboard import render

    paths = Paths()
    typer.echo(str(render(paths, settings.read(paths.params)).resolve()))


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
    """Draw pictures from a trained model: one sheet, in the folder you are in.

    Sample i depends on the seed and i alone: a larger count adds pictures and changes none.

    Examples: [bold]ebm sample multigrid-digits --count 64 --seed 7[/bold];
    [bold]ebm sample multigrid-digits --each --out digits[/bold]
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
    files: Annotated[list[Path], typer.Argument(help="Pictures, or folders of pictures.")],
    as_json: Json = False,
) -> None:
    """Rank pictures by f(x), the likeliest first, as a trained model sees them.

    f(x) is log p(x) up to a constant, log Z, which nobody knows: figures of one model can be
    compared, not those of two. What is no picture is named and left out; the status is 1 if
    nothing could be read.

    Examples: [bold]ebm score multigrid-digits pictures/[/bold];
    [bold]ebm score multigrid-digits a.png b.jpg --json[/bold]
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


@command
def dashboard(
    port_mlflow: Annotated[int, typer.Option(min=1, max=65535, help="MLflow's port.")] = 5000,
    port_prefect: Annotated[int, typer.Option(min=1, max=65535, help="Prefect's port.")] = 4200,
) -> None:
    """Show MLflow's page and Prefect's on this machine, until Ctrl-C.

    Example: [bold]ebm dashboard --port-mlflow 5010[/bold]
    """
    from flows.dashboard import pages, serve
    from tasks.paths import Paths

    serve(pages(Path.cwd(), port_mlflow, port_prefect), Paths().work / "pages", typer.echo)


@command
def adopt(
    name: Name,
    folder: Annotated[
        Path, typer.Argument(resolve_path=True, help="models/NAME/PART, brought home.")
    ],
    part: Annotated[
        str | None, typer.Option(help="The training stage, where the folder does not name it.")
    ] = None,
) -> None:
    """Take in a model trained elsewhere, so that it is not trained again here.

    On the other machine: [bold]python -m tasks train NAME PART[/bold] with torch, numpy, pydantic
    and PyYAML; then bring the folder models/NAME/PART home.

    Example: [bold]ebm adopt multigrid-digits ~/from-the-node/grid-8[/bold]
    """
    from flows.adopt import adopt as take_in

    taken = take_in(name, folder, part)
    typer.echo(f"{taken.address} is taken in: {taken.folder}")
    if not taken.record:
        typer.echo("No run.json came with it, so its device and time are not known.", err=True)


@command
def clean(
    name: Annotated[str | None, typer.Argument(help="One experiment or data set; all.")] = None,
) -> None:
    """Remove scratch, logs and live files of what is not running; never results, never data.

    Example: [bold]ebm clean multigrid-digits[/bold]
    """
    from flows import clean as cleaning
    from tasks.paths import Paths

    freed = cleaning.clean(Paths(), [name] if name else None)
    for kind, size in freed.bytes.items():
        typer.echo(f"{kind}: {cleaning.size_text(size)} freed")
    if not freed.bytes:
        typer.echo("There was nothing to remove.")
    for title in freed.running:
        typer.echo(f"{title} is running, so it was left alone", err=True)
