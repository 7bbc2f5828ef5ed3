"""What the tools cost is told of both ways of measuring, each beside the other."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import overhead


class Box:
    """A sandbox whose runs take as long as their iterations, on a clock of its own."""

    updates = 0

    def bare(self) -> float:
        return 10 + self.updates / 100

    def whole(self) -> float:
        return self.bare() + 6


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Box:
    """A sandbox in place of those that run."""
    made = Box()
    monkeypatch.setattr(overhead, "commands", lambda box: ["train", "sample"])
    monkeypatch.setattr(overhead, "lengthen", lambda box, n: setattr(box, "updates", n))
    monkeypatch.setattr(overhead, "bare", lambda box, lines: box.bare())
    monkeypatch.setattr(overhead, "whole", lambda box: box.whole())
    return made


def test_iterations_are_chosen_for_the_seconds_and_the_share_is_of_the_bare_run(box: Any) -> None:
    found = overhead.measure(box, 300.0)
    assert found["iterations"] == 29_000 and found["bare_seconds"] == [300.0] * overhead.TURNS
    assert found["added_seconds"] == 6.0 and found["overhead"] == 0.02


def test_ends_are_held_against_the_seconds_that_are_asked_for(box: Any) -> None:
    found = overhead.ends(box, 120.0)
    assert found["bare_median"] == 11.0 and found["overhead"] == 0.05 and found["stages"] == 2


def test_each_way_leaves_what_the_other_found(tmp_path: Path) -> None:
    target = tmp_path / "overhead.json"
    overhead.record(target, "ends", {"overhead": 0.04})
    overhead.record(target, "whole", {"overhead": 0.01})
    overhead.record(target, "ends", {"overhead": 0.03})
    found = json.loads(target.read_text())
    assert list(found) == ["command", "experiment", "goal", "whole", "ends"]
    assert (found["whole"], found["ends"]) == ({"overhead": 0.01}, {"overhead": 0.03})
