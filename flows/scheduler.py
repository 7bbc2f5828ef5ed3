"""The process of `ebm serve` that holds the schedule, and begins the runs that are due."""

import json
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from flows.serving import TAG, Schedule

POLL = 5.0  # seconds between looks for a run that is due
ALIVE = ("PENDING", "RUNNING", "CANCELLING")


def deployments(asked: Schedule) -> list[Any]:
    """Return Prefect's deployments of a schedule, one an experiment."""
    from prefect.schedules import Cron, Interval

    from flows.scheduled import scheduled

    when: Any = (
        Cron(asked.cron, timezone=asked.timezone)
        if asked.cron
        else Interval(timedelta(seconds=asked.every or 0), timezone=asked.timezone)
    )
    return [
        scheduled.to_deployment(
            name,
            schedule=when,
            parameters={"name": name},
            tags=[TAG, name],
            description=f"ebm run {name}, {asked.words}",
        )
        for name in asked.names
    ]


def tidy() -> None:
    """Put in order what a killed schedule left: runs that run no more, or are late for good."""
    from prefect.client.orchestration import get_client
    from prefect.states import Crashed

    with get_client(sync_client=True) as client:
        for run in left(client, ALIVE):
            gone: Any = Crashed(message="it was killed; the next run goes on where it was")
            client.set_flow_run_state(run.id, gone, force=True)
        for run in left(client, ["SCHEDULED"]):
            client.delete_flow_run(run.id)


def left(client: Any, states: Sequence[str]) -> Iterator[Any]:
    """Yield the runs of schedules in these states until there is none: Prefect tells a page each.

    Args:
        states: which each run must have left before the next page.
    """
    from prefect.client.schemas.filters import FlowRunFilter

    which = {"tags": {"all_": [TAG]}, "state": {"type": {"any_": states}}}
    while runs := client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate(which)):
        yield from runs


def main(text: str) -> None:
    """Hold the schedule in this process, which ends with its parent."""
    from flows.environment import prepare_environment

    prepare_environment()
    from prefect import serve as hold_schedule

    tidy()
    asked = Schedule(*json.loads(text))
    hold_schedule(*deployments(asked), limit=1, print_starting_message=False, query_seconds=POLL)


if __name__ == "__main__":
    main(sys.argv[1])
