"""A schedule makes runs and carries them out, is held once, and ends with all it began."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import yaml

from flows import scheduler, serving
from flows.environment import QUIET
from flows.hold import hold
from flows.locks import holder
from flows.server import free_port
from flows.serving import Schedule, duration, held, schedule
from flows.status import ask
from tasks.paths import Paths
from tasks.scratch import Busy
from tests.flows.conftest import GRID, JOINT, only_trained
from tests.flows.test_kill import paused, trainers

ROOT = Path(__file__).parents[2]
NIGHTLY = Schedule([JOINT], "0 3 * * *", None, "UTC")


def test_a_schedule_says_one_time_that_exists() -> None:
    assert schedule([JOINT, JOINT], "0 3 * * *", None, "UTC") == NIGHTLY
    assert schedule([JOINT], None, "90m", "Europe/Paris").every == 5400
    with pytest.raises(ValueError, match="say when: --cron"):
        schedule([JOINT], None, None, None)
    with pytest.raises(ValueError, match="say when: --cron"):
        schedule([JOINT], "0 3 * * *", "1h", None)
    with pytest.raises(ValueError, match="--timezone Mars/Base is unknown"):
        schedule([JOINT], "0 3 * * *", None, "Mars/Base")
    with pytest.raises(ValueError, match="--cron '0 25 \\* \\* \\*' is no time"):
        schedule([JOINT], "0 25 * * *", None, "UTC")


def test_a_time_in_crons_way_leaves_the_levels_of_the_servers_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("PREFECT_HOME", *QUIET):
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    schedule([JOINT], "0 3 * * *", None, "UTC")
    assert dict(os.environ) == before


@pytest.mark.parametrize("text", ["", "0s", "1", "h", "1h 2m", "-1h", "1y"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no length of time"):
        duration(text)


def test_a_project_has_one_schedule_at_a_time(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    assert serving.page(paths) is None
    with held(paths, NIGHTLY, 4200):
        assert serving.page(paths) == "http://127.0.0.1:4200/"
        assert holder(paths.work / "serve.lock") == psutil.Process().pid
        assert serving.served(paths) == (NIGHTLY, 4200)
        with (
            pytest.raises(Busy, match=r"process \d+ .* serves a schedule .* ebm stop ends it"),
            held(paths, NIGHTLY, 4201),
        ):
            pass
    assert holder(paths.work / "serve.lock") is None


def test_a_schedule_is_held_until_all_that_it_began_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, said = Paths(tmp_path), []

    def begun(*arguments: Any) -> None:
        raise KeyboardInterrupt

    def finish(*arguments: Any) -> None:
        said.append(holder(paths.work / "serve.lock"))
        with pytest.raises(Busy), held(paths, NIGHTLY, 4201):
            pass
        os.kill(os.getpid(), signal.SIGTERM)  # a second `ebm stop`
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(serving, "check_port", begun)
    monkeypatch.setattr(serving, "finish", finish)
    before = signal.getsignal(signal.SIGTERM)
    serving.serve(paths, NIGHTLY, 4200, said.append)
    assert said == ["Ending the schedule.", os.getpid()]
    assert holder(paths.work / "serve.lock") is None
    assert signal.getsignal(signal.SIGTERM) == before


def wait_for(true: Callable[[], Any], what: str) -> Any:
    """Wait for something, and return it."""
    until = time.monotonic() + 240
    while not (found := true()):
        assert time.monotonic() < until, f"no {what}"
        time.sleep(0.5)
    return found


def ebm(*words: str) -> str:
    """Run a command in the project and return what it prints."""
    command = [sys.executable, "-m", "flows", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def ended(port: int, state: str) -> Any:
    """Return the runs of a schedule that Prefect knows to have ended so, if `ebm status` does."""
    runs = json.loads(ebm("status", "--json"))["runs"]
    if not any(run["state"] == state and run["by"] == "schedule" for run in runs):
        return None
    return ask(port, "flow_runs/filter", {"flow_runs": {"state": {"name": {"any_": [state]}}}})


def test_a_time_in_crons_way_is_when_runs_are_scheduled(pipeline: Path) -> None:
    port, begun = free_port(), time.time()
    words = ["serve", JOINT, "--cron", "* * * * *", "--timezone", "Europe/Paris"]
    words += ["--port-prefect", str(port)]
    process = subprocess.Popen([sys.executable, "-m", "flows", *words])

    def upcoming() -> Any:
        """Return what `ebm status` says of the schedule, once it knows when a run is due."""
        found = json.loads(ebm("status", "--json"))["schedule"]
        return found if found and found["next"] and found["next"][JOINT] else None

    try:
        plan = wait_for(upcoming, "time of the next run")
        assert plan["when"] == "at '* * * * *', Europe/Paris"
        assert plan["next"][JOINT] > begun and plan["next"][JOINT] % 60 == 0
        scheduled = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
        runs = ask(port, "flow_runs/filter", {**scheduled, "sort": "EXPECTED_START_TIME_ASC"})
        due = [datetime.fromisoformat(run["expected_start_time"]).timestamp() for run in runs]
        assert len(due) > 1 and set(np.diff(due)) == {60}
        assert all(run["parameters"] == {"name": JOINT} for run in runs)
        assert "schedule of" in ebm("stop")
        assert process.wait(60) == 0
    finally:
        process.terminate()
        process.wait()


@pytest.mark.slow
def test_a_schedule_makes_runs_that_are_skipped_or_carried_out_and_ends_whole(
    trained: Path,
) -> None:
    only_trained(JOINT)
    port = free_port()
    words = ["serve", JOINT, "--every", "5s", "--port-prefect", str(port)]
    process = subprocess.Popen([sys.executable, "-m", "flows", *words])
    try:
        with hold(Paths(), ["another"]):
            (skipped, *_) = wait_for(lambda: ended(port, "Skipped"), "run that was skipped")
            assert "(another, since" in skipped["state"]["message"]
            assert skipped["state"]["type"] == "COMPLETED"
        (done, *_) = wait_for(lambda: ended(port, "UpToDate"), "run that found nothing to do")
        assert "nothing changed" in done["state"]["message"]
        assert f"{JOINT}: next at" in ebm("status") or f"{JOINT}: due" in ebm("status")
        family = [p for p in psutil.Process(process.pid).children(recursive=True)]
        assert "schedule of" in ebm("stop")
        assert process.wait(60) == 0
        assert not psutil.wait_procs(family, timeout=30)[1]
        assert "Nothing is scheduled" in ebm("status")
    finally:
        process.terminate()
        process.wait()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_one_of_several_experiments_is_taken_out_of_a_schedule_and_the_other_stays(
    trained: Path,
) -> None:
    port = free_port()
    words = ["serve", JOINT, GRID, "--cron", "0 3 1 1 *", "--port-prefect", str(port)]
    process = subprocess.Popen([sys.executable, "-m", "flows", *words])

    def due() -> set[str]:
        """Return the experiments that `ebm status` knows a time of."""
        found = json.loads(ebm("status", "--json"))["schedule"]
        return {name for name, when in ((found or {}).get("next") or {}).items() if when}

    try:
        wait_for(lambda: due() == {JOINT, GRID}, "time of both")
        said = f"{GRID} is taken out of the schedule until the next ebm serve; the others stay."
        assert said in ebm("stop", GRID)
        wait_for(lambda: due() == {JOINT}, "end of one")
        time.sleep(2 * scheduler.POLL)
        assert due() == {JOINT} and process.poll() is None
        assert f"schedule of {JOINT}, {GRID} is ended" in ebm("stop")
        assert process.wait(60) == 0
    finally:
        process.terminate()
        process.wait()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_schedule_takes_its_server_and_run_along_and_the_next_puts_them_in_order(
    pipeline: Path,
) -> None:
    only_trained(JOINT)
    port = free_port()
    words = ["serve", JOINT, "--every", "5s", "--port-prefect", str(port)]

    def runs(**which: Any) -> list[Any]:
        """Return the runs that Prefect's server knows of, none where it does not answer yet."""
        with suppress(OSError):
            return ask(port, "flow_runs/filter", {"flow_runs": which})
        return []

    def late() -> bool:
        """Tell whether runs are left that were due before the second schedule began."""
        scheduled = runs(state={"type": {"any_": ["SCHEDULED"]}})
        due = [datetime.fromisoformat(run["expected_start_time"]) for run in scheduled]
        return any(when.timestamp() < begun for when in due)

    process = subprocess.Popen([sys.executable, "-m", "flows", *words])
    try:
        with paused(step=6):
            wait_for(Path(".work/paused").exists, "training")
            cut_off = {run["id"] for run in runs(state={"type": {"any_": ["RUNNING"]}})}
            family = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            assert not psutil.wait_procs(family, timeout=30)[1]
            assert len(cut_off) == 2 and trainers() == []  # the schedule's run, and its stages'
            time.sleep(10)  # more runs become due
            process, begun = subprocess.Popen([sys.executable, "-m", "flows", *words]), time.time()
            gone = {"id": {"any_": [*cut_off]}, "state": {"type": {"any_": ["CRASHED"]}}}
            wait_for(lambda: len(runs(**gone)) == 2, "end of what was cut off")
            wait_for(lambda: not late(), "end of what was due")
        assert "schedule of" in ebm("stop")
        assert process.wait(60) == 0
    finally:
        process.terminate()
        process.wait()


def test_the_deployments_for_a_pool_name_experiments_and_the_flow_that_runs_them() -> None:
    known = yaml.safe_load((ROOT / "params.yaml").read_text())["experiments"]
    deployed = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    for each in deployed:
        assert each["parameters"]["name"] in known
        file, function = each["entrypoint"].split(":")
        assert f"def {function}(" in (ROOT / file).read_text()
        for when in each["schedules"]:
            serving.check_cron(when["cron"])
