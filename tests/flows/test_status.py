"""What runs, what is next and how runs ended is told from what the processes themselves leave."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows import history
from flows.experiment import Outcome, Row
from flows.hold import Work, at_work, hold
from flows.locks import holder
from flows.status import lines, stages, status
from flows.stopping import goes_on, stop
from tasks.artefacts import write_json
from tasks.paths import Paths
from tasks.scratch import Busy, Scratch

HOLD = """
import signal, sys, time
from pathlib import Path
from flows.history import kept
from flows.hold import hold
from flows.interrupts import stoppable
from tasks.paths import Paths
paths = Paths(Path(sys.argv[1]))
with stoppable(), kept(paths, ["a", "b"], "ebm run a b"), hold(paths, ["a", "b"]):
    print("held", flush=True)
    time.sleep(100)
"""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path)


def run(paths: Paths) -> "subprocess.Popen[str]":
    """Start a process that holds the project, as a run does."""
    command = [sys.executable, "-c", HOLD, str(paths.root)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


def test_nothing_is_said_where_nothing_was(paths: Paths) -> None:
    assert lines(status(paths), 0) == [
        "Nothing runs.",
        "Nothing is scheduled; ebm serve holds a schedule.",
        "No run has ended yet.",
    ]


def test_what_goes_on_is_what_was_typed_and_nothing_where_nobody_knows(paths: Paths) -> None:
    command = "ebm run a --set experiments.a.seed=3"
    with history.kept(paths, ["a"], command), hold(paths, ["a"]):
        work = at_work(paths)
        assert work and goes_on(paths, work) == f"; {command} goes on where it was"
    assert goes_on(paths, Work(1, ["adopt a"], 0.0)) == ""


def test_a_run_and_its_stage_are_told_and_stopped_and_told_as_stopped(paths: Paths) -> None:
    process = run(paths)
    try:
        with Scratch(paths, "train", "a", "grid-4", "f" * 16):
            live = {"done": 3, "total": 9, "left": 65.0, "text": "healthy"}
            write_json(paths.live("train", "a", "grid-4"), live)
            found = status(paths)
            (stage,) = found["stages"]
            assert (stage["name"], stage["stage"], stage["pid"]) == (
                "a",
                "train-grid-4",
                os.getpid(),
            )
            assert found["running"]["pid"] == process.pid
            told = lines(found, time.time())
            assert told[0].startswith("Running: a, b, for ")
            assert told[1].endswith(": 3 of 9, 1 min 5 s left, healthy")
        said: list[str] = []
        (paths.root / "params.yaml").write_text("experiments: {a: {}, b: {}, c: {}}")
        with pytest.raises(ValueError, match="no experiment 'd'"):
            stop(paths, "d", False, said.append)
        stop(paths, "c", False, said.append)
        assert said == ["a, b is running, and was left alone; ebm stop ends it."]
        stop(paths, "b", False, said.append)
        assert said[-1] == "The run of a, b is stopped; ebm run a b goes on where it was."
        assert process.wait(10) != 0
    finally:
        process.kill()
        process.wait()
    (ended,) = status(paths)["runs"]
    assert (ended["state"], ended["text"]) == ("Stopped", history.STOPPED)
    stop(paths, None, False, said.append)
    assert said[-1] == "There was nothing to stop."


def test_a_killed_run_is_told_as_killed_and_what_its_lock_names_is_not_taken_for_it(
    paths: Paths,
) -> None:
    process = run(paths)
    process.kill()
    process.wait()
    assert at_work(paths) is None
    lock = paths.work / "flow.lock"
    lock.write_text(f"process {os.getpid()} (a, since 12:00)")  # an id that came round again
    assert holder(lock) is None
    said: list[str] = []
    stop(paths, None, False, said.append)
    assert said == ["There was nothing to stop."]
    (ended,) = status(paths)["runs"]
    assert ended["state"] == "Killed"
    assert ended["text"] == "it was killed; ebm run a b goes on where it was"
    assert stages(paths) == []


def test_each_way_in_which_a_run_ends_is_kept(paths: Paths) -> None:
    row = Row("train@a", "Ran", 1.0, "it has never run")
    ways = {
        "UpToDate": row._replace(state="UpToDate"),
        "Ran": row,
        "Failed": row._replace(state="Failed", reason="no luck"),
    }
    for way in ways.values():
        with history.kept(paths, ["a"], "ebm run a") as entry:
            history.conclude(entry, Outcome(["a"], [way], 1.0, None))
    for error in (Busy("process 7 is at work"), ValueError("no such setting")):
        with pytest.raises(type(error)), history.kept(paths, ["a"], "ebm run a"):
            raise error
    found = [(each["state"], each["text"]) for each in history.runs(paths)]
    assert found == [
        ("UpToDate", "nothing changed, 1 stages are up to date"),
        ("Ran", "train@a"),
        ("Failed", "train@a: no luck"),
        ("Skipped", "process 7 is at work"),
        ("Failed", "no such setting"),
    ]


def test_the_history_does_not_grow_for_ever_and_a_cut_one_is_begun_anew(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "KEPT", 2)
    for name in "abc":
        with history.kept(paths, [name], f"ebm run {name}"), hold(paths, [name]):
            pass
    assert [each["names"] for each in history.runs(paths)] == [["b"], ["c"]]
    (paths.work / "history.json").write_text("[{")
    assert history.runs(paths) == []
