"""The command line `ebm`: a function a command; what it needs is imported when it is called."""

import functools
import json
from typing import Annotated

import typer

from flows.command import DEFAULT, Json, Name, app, command, show_table

__all__ = ["app"]


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


# In the order of the help:
# isort: off
import flows.cli_results  # noqa: E402
import flows.cli_upkeep  # noqa: E402
import flows.cli_on_files  # noqa: E402
import flows.cli_on_schedule  # noqa: E402
import flows.cli_versions  # noqa: E402, F401
