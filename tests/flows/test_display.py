"""A person sees where a run stands, with and without a terminal."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from flows.display import SPEAK, Display
from flows.experiment import Row
from flows.graph import Stage
from flows.work import Manner, Work
from tasks.artefacts import write_json
from tasks.paths import Paths

STAGE = Stage("train@x-one", "train", "x", "one", (), (), (), "")
OTHER = STAGE._replace(address="sample@x", verb="sample", part=None)
WORK = Work(["x"], [STAGE, OTHER], {"train@x-one": ["new"]}, False, None, {}, {}, Manner())


class Clock:
    """A clock that a test sets."""

    time = 100.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A folder where the stage tells where it stands."""
    told = {"done": 120, "total": 600, "left": 65.0, "text": "healthy"}
    write_json(Paths(tmp_path).live("train", "x", "one"), told)
    return Paths(tmp_path)


def test_without_a_terminal_a_line_tells_start_standing_and_end(paths: Paths) -> None:
    out, clock = io.StringIO(), Clock()
    with Display(paths, Console(file=out, width=200), now=clock) as display:
        display.plan(WORK)
        display.start(STAGE, "flow")
        display.look(STAGE.address, STAGE)
        clock.time += SPEAK + 1
        display.look(STAGE.address, STAGE)
        display.look(STAGE.address, STAGE)
        display.end(STAGE, Row(STAGE.address, "Ran", 75.0, "new"))
    assert out.getvalue().splitlines() == [
        "1 stages to run, 1 up to date",
        "train@x-one: begins",
        "train@x-one: 120/600, 1 min 5 s left, healthy",
        "train@x-one: done, 1 min 15 s",
    ]


def test_what_a_stage_that_ran_had_to_say_is_shown(paths: Paths) -> None:
    write_json(paths.record("sample", "x", None), {"said": ["3 files left out [a.jpg: empty]"]})
    for state, lines in (("Ran", 1), ("Restored", 0)):
        out = io.StringIO()
        with Display(paths, Console(file=out, width=40)) as display:
            display.plan(WORK)
            display.start(OTHER)
            display.end(OTHER, Row(OTHER.address, state, 3.0, "new"))
        assert out.getvalue().count("3 files left out [a.jpg: empty]\n") == lines


def test_a_failure_is_shown_with_its_reason(paths: Paths) -> None:
    out = io.StringIO()
    with Display(paths, Console(file=out, width=40)) as display:
        display.plan(WORK)
        display.start(STAGE)
        display.end(STAGE, Row(STAGE.address, "Failed", 3.0, "the disk is full [really]"))
    assert out.getvalue().splitlines()[-1] == (
        "train@x-one: failed after 3 s: the disk is full [really]"
    )


def test_on_a_terminal_there_are_bars(paths: Paths) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120)
    with Display(paths, console) as display:
        display.plan(WORK)
        display.start(STAGE)
        display.look(STAGE.address, STAGE)
        display.progress.refresh()
        display.end(STAGE, Row(STAGE.address, "Restored", 1.0, ""))
    shown = out.getvalue()
    assert "120/600, 1 min 5 s left, healthy" in shown
    assert "train@x-one: taken from DVC's cache, 1 s" in shown


def test_nothing_to_do_is_one_line(paths: Paths) -> None:
    out = io.StringIO()
    with Display(paths, Console(file=out)) as display:
        display.plan(WORK._replace(reasons={}))
    assert out.getvalue() == "All 2 stages are up to date.\n"


def test_a_live_file_that_is_half_written_is_passed_over(paths: Paths) -> None:
    paths.live("train", "x", "one").write_text('{"done": ')
    out = io.StringIO()
    with Display(paths, Console(file=out), now=lambda: 0.0) as display:
        display.start(STAGE)
        display.spoken[STAGE.address] = -2 * SPEAK
        display.look(STAGE.address, STAGE)
    assert out.getvalue() == "train@x-one: begins\n"
