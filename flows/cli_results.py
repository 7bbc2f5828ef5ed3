"""The commands of `ebm` that show what was found: tables, reports, dashboards."""

import json
from pathlib import Path
from typing import Annotated

import typer

from flows.command import DEFAULT, Force, Json, Name, command, show_table


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

    paths = Paths()
    pick(experiments(paths), name)
    if not any(paths.results(name).glob("*")):
        raise ValueError(f"{name} has no results yet; `ebm run {name}` makes them")
    typer.echo(str(render(name, paths).resolve()))


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
