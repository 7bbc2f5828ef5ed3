"""The process of `ebm serve` that holds the schedule, and begins the runs that are due."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from flows.hold import at_work
from flows.serving import TAG, Schedule
from tasks.paths import Paths

POLL = 5.0  # seconds between looks for a run that is due
ALIVE = ("PENDING", "RUNNING", "CANCELLING")
OURS = {"tags": {"all_": [TAG]}}  # runs of a schedule


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


def tidy(paths: Paths) -> None:
    """Put in order what a killed schedule left: runs that run no more, or are late for good."""
    from prefect.client.orchestration import get_client
    from prefect.states import Crashed

    with get_client(sync_client=True) as client:
        for which in killed(paths):
            for run in left(client, which, ALIVE):
                gone: Any = Crashed(message="it was killed; the next run goes on where it was")
                client.set_flow_run_state(run.id, gone, force=True)
        for run in left(client, OURS, ["SCHEDULED"]):
            client.delete_flow_run(run.id)


def killed(paths: Paths) -> list[dict[str, Any]]:
    """Return which runs cannot be alive: a schedule's, and where nothing is at work any."""
    now = datetime.now(UTC)
    return [OURS] if at_work(paths) else [OURS, {"start_time": {"before_": now}}]


def left(client: Any, which: Mapping[str, Any], states: Sequence[str]) -> Iterator[Any]:
    """Yield the runs in these states until there is none: Prefect tells a page at a time.

    Args:
        which: they are, in the words of Prefect's filters.
        states: which each run must have left before the next page.
    """
    from prefect.client.schemas.filters import FlowRunFilter

    wanted = FlowRunFilter.model_validate({**which, "state": {"type": {"any_": states}}})
    while runs := client.read_flow_runs(flow_run_filter=wanted):
        yield from runs


def main(text: str) -> None:
    """Hold the schedule in this process, which ends with its parent."""
    from flows.environment import prepare_environment

    prepare_environment()
    from prefect import serve as hold_schedule

    tidy(Paths())
    asked = Schedule(*json.loads(text))
    hold_schedule(*deployments(asked), limit=1, print_starting_message=False, query_seconds=POLL)


if __name__ == "__main__":
    main(sys.argv[1])
