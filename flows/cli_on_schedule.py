"""The commands of `ebm` that run experiments by the clock, look at what runs, and end it."""

import json
import time
from typing import Annotated

import typer

from flows.command import Json, command


@command
def serve(
    names: Annotated[
        list[str], typer.Argument(help="Experiments of params.yaml, as `ebm list` shows.")
    ],
    cron: Annotated[
        str | None, typer.Option(help="Minute, hour, day, month and weekday: '0 3 * * *'.")
    ] = None,
    every: Annotated[str | None, typer.Option(help="A length of time: 30m, 6h, 1d.")] = None,
    timezone: Annotated[
        str | None, typer.Option(help="Of --cron, as Europe/Paris; this machine's if none.")
    ] = None,
    port_prefect: Annotated[int, typer.Option(min=1, max=65535, help="Prefect's port.")] = 4200,
) -> None:
    """Run experiments by the clock, on this machine, until Ctrl-C or `ebm stop`.

    Each is run as `ebm run NAME` does it, one after another; a run that finds nothing changed takes
    seconds, one that finds the project at work is skipped. The schedule lives as long as this
    command: have your system start it, or leave it in a terminal that stays.

    Examples: [bold]ebm serve multigrid-digits --cron "0 3 * * *"[/bold];
    [bold]ebm serve multigrid-digits latent-mnist --every 6h[/bold]
    """
    from flows import serving
    from flows.results import experiments, pick
    from tasks.paths import Paths

    paths = Paths()
    for name in names:
        pick(experiments(paths), name)
    asked = serving.schedule(names, cron, every, timezone)
    serving.serve(paths, asked, port_prefect, typer.echo)


@command
def status(as_json: Json = False) -> None:
    """Say what runs now and how far it is, what is scheduled next, and how the last runs ended.

    Example: [bold]ebm status --json[/bold]
    """
    from flows import status as state
    from tasks.paths import Paths

    found = state.status(Paths())
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    for line in state.lines(found, time.time()):
        typer.echo(line)


@command
def stop(
    name: Annotated[
        str | None, typer.Argument(help="One experiment; all that runs or is scheduled if none.")
    ] = None,
    run_only: Annotated[
        bool, typer.Option("--run-only", help="End the run, and leave the schedule.")
    ] = False,
) -> None:
    """End what runs here as Ctrl-C does, to go on later, and the schedule that `ebm serve` holds.

    Example: [bold]ebm stop multigrid-digits --run-only[/bold]
    """
    from flows.stopping import stop as end
    from tasks.paths import Paths

    end(Paths(), name, run_only, typer.echo)


@command
def notify(
    address: Annotated[str, typer.Argument(help="Where to post; a chat's incoming webhook.")],
) -> None:
    """Post a line when a scheduled run fails, from now on, while `ebm serve` or a work pool runs.

    What is posted is {"text": "NAME Failed: why"}; it is an automation of Prefect, to be seen,
    changed and removed on its page. PREFECT_API_URL names the server of a work pool; where it is
    not set, the server is that of `ebm serve`.

    Example: [bold]ebm notify https://chat.example.org/hooks/mine[/bold]
    """
    from flows.notices import notify as post
    from tasks.paths import Paths

    server = post(Paths(), address)
    typer.echo(f"Scheduled runs that fail are told there from now on, by Prefect at {server}.")
