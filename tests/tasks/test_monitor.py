"""What a running stage tells."""

import json
from pathlib import Path

import pytest

from tasks import monitor as module
from tasks.monitor import Monitor, clock
from tasks.paths import Paths


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Monitor:
    """A monitor by a clock that the test sets."""
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    now[0] = 100.0
    return Monitor(Paths(tmp_path), "train", "toy", "joint")


now = [100.0]


def live(told: Monitor) -> dict[str, object]:
    return json.loads(told.live.read_text())


def test_time_left_is_that_of_the_rate_so_far(told: Monitor) -> None:
    now[0] = 110.0
    told.progress(1, 5, "healthy")
    assert live(told) == {"done": 1, "total": 5, "left": 40.0, "text": "healthy"}


def test_resumed_run_counts_its_own_work_alone(told: Monitor) -> None:
    now[0] = 101.0
    told.progress(81, 100)
    now[0] = 110.0
    told.progress(90, 100)
    assert live(told)["left"] == 10.0


def test_telling_is_rare_but_the_end_is_told(told: Monitor) -> None:
    told.progress(1, 5)
    now[0] += 0.1
    told.progress(2, 5)
    assert live(told)["done"] == 1
    told.progress(5, 5)
    assert live(told)["done"] == 5


def test_figures_reach_their_file_and_live_goes_at_the_end(told: Monitor) -> None:
    told.figures(1, {"8/f_data": 0.5})
    told.progress(1, 2)
    told.figures(2, {"8/f_data": 0.75})
    told.close()
    lines = [json.loads(line) for line in told.file.read_text().splitlines()]
    assert lines == [{"step": 1, "8/f_data": 0.5}, {"step": 2, "8/f_data": 0.75}]
    assert not told.live.exists()


def test_figures_of_an_earlier_run_go(told: Monitor, tmp_path: Path) -> None:
    told.figures(1, {"x": 1.0})
    told.close()
    assert not Monitor(Paths(tmp_path), "train", "toy", "joint").file.exists()


def test_notes_add_up(told: Monitor) -> None:
    told.note(a=1)
    told.note(b=2)
    assert told.notes == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (3840, "1 h 4 min")],
)
def test_times_are_said_as_a_person_says_them(seconds: float, text: str) -> None:
    assert clock(seconds) == text
