"""What a killed schedule left in Prefect's database is put in order by the next."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows import scheduler
from flows.hold import hold
from tasks.paths import Paths


class Runs:
    """Stands for Prefect's client, which tells 200 runs at most, the latest id first.

    Ids from 1000 on are of flows of stages, which have no schedule's tag.
    """

    def __init__(self, states: Mapping[int, str]) -> None:
        self.states = dict(states)

    def __enter__(self) -> "Runs":
        return self

    def __exit__(self, *error: object) -> None: ...

    def read_flow_runs(self, flow_run_filter: Any) -> list[Any]:
        wanted = {each.value for each in flow_run_filter.state.type.any_}
        most = 1000 if flow_run_filter.tags else 2000
        found = [mark for mark in self.states if self.states[mark] in wanted and mark < most]
        return [
            SimpleNamespace(id=mark, state_type=self.states[mark])
            for mark in sorted(found, reverse=True)[:200]
        ]

    def set_flow_run_state(self, mark: int, state: Any, force: bool) -> None:
        self.states[mark] = state.type.value

    def delete_flow_run(self, mark: int) -> None:
        del self.states[mark]


def test_runs_that_a_killed_schedule_left_are_put_in_order_however_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    due = dict.fromkeys(range(3, 453), "SCHEDULED")
    runs = Runs({0: "COMPLETED", 1: "RUNNING", 2: "PENDING", **due, 1000: "RUNNING"})
    monkeypatch.setattr("prefect.client.orchestration.get_client", lambda sync_client: runs)
    with hold(Paths(tmp_path), ["by hand"]):
        scheduler.tidy(Paths(tmp_path))
    gone = {0: "COMPLETED", 1: "CRASHED", 2: "CRASHED"}
    assert runs.states == {**gone, 1000: "RUNNING"}
    scheduler.tidy(Paths(tmp_path))
    assert runs.states == {**gone, 1000: "CRASHED"}
