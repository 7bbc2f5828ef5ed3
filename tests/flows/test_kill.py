"""kill -9 anywhere, then run again: the same bits, nothing lost, never two trainers."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from flows import backup, guard, limits
from flows.experiment import run_experiments
from tasks.paths import Paths
from tasks.scratch import Busy
from tests.flows.conftest import JOINT, TRAIN, edit, outputs, set_param

FLOW = f"from flows.experiment import run_experiments; run_experiments(['{JOINT}'], 'train')"
DVC = f"from dvc.repo import Repo; Repo().reproduce(['{TRAIN}'], single_item=True)"
DIE = "o = __import__('os'); o.kill(o.getpid(), 9)"


def start(code: str) -> subprocess.Popen[bytes]:
    """Run Python code in the project, as a process of its own."""
    return subprocess.Popen([sys.executable, "-c", code])


def trainers() -> list[psutil.Process]:
    """Return the living trainers of this project."""
    here, found = os.getcwd(), []
    for process in psutil.process_iter(["cmdline"]):
        try:
            line = process.info["cmdline"] or []
            stage = line[1:4] == ["-m", "tasks", "train"]
            if stage and process.cwd() == here and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_until(true: Callable[[], object], what: str) -> None:
    """Wait for something to become true, or fail."""
    until = time.monotonic() + 100
    while not true():
        assert time.monotonic() < until, f"no {what}"
        time.sleep(0.05)


@contextmanager
def paused(step: int) -> Iterator[None]:
    """Stop the trainer at an iteration, for as long as the block runs."""
    edit(
        Path("tasks/train.py"),
        lambda text: text.replace(
            "    def report(progress: Progress) -> None:\n",
            "    def report(progress: Progress) -> None:\n"
            f"        if progress.step == {step}:\n"
            "            from pathlib import Path; import time\n"
            "            while Path('.work/pause').exists():\n"
            "                Path('.work/paused').touch(); time.sleep(0.05)\n",
        ),
    )
    Path(".work/pause").touch()
    Path(".work/paused").unlink(missing_ok=True)
    yield
    Path(".work/pause").unlink()


def steps_run() -> list[int]:
    """Return the iterations that the last process of the stage went through."""
    figures = Paths().figures("train", JOINT, "joint")
    text = figures.read_text() if figures.exists() else ""
    return [int(step) for step in re.findall(r'"step": (\d+)', text)]


def finish_and_compare(undisturbed: Path) -> None:
    """Run again, and compare every bit of the model with that of a run left alone."""
    assert run_experiments([JOINT], "train").ok
    assert outputs(Path())[TRAIN] == outputs(undisturbed)[TRAIN]
    model = Path("models") / JOINT / "joint" / "model.pt"
    assert model.read_bytes() == (undisturbed / model).read_bytes()
    assert not trainers()
    assert {row.state for row in run_experiments([JOINT], "train").rows} == {"UpToDate"}


@pytest.mark.parametrize("code", [FLOW, DVC], ids=["flow", "dvc"])
def test_a_killed_runner_takes_its_trainer_along_and_the_next_goes_on_to_the_same_bits(
    pipeline: Path, repro_template: Path, code: str
) -> None:
    with paused(step=6):
        runner = start(code)
        wait_until(Path(".work/paused").exists, "training")
        runner.kill()
        runner.wait()
        wait_until(lambda: not trainers(), "end of the trainer")
    finish_and_compare(repro_template)
    assert min(steps_run()) > 4  # it went on from the checkpoint at iteration 4


def test_a_killed_trainer_fails_its_stage_and_the_next_goes_on_to_the_same_bits(
    pipeline: Path, repro_template: Path
) -> None:
    with paused(step=10):
        runner = start(f"from flows import limits; limits.WAITS = (); {FLOW}")
        wait_until(Path(".work/paused").exists, "training")
        trainers()[0].kill()
        assert runner.wait() == 0  # the flow itself ended well, and told of the failure
    finish_and_compare(repro_template)
    assert min(steps_run()) > 8


def test_a_kill_inside_a_checkpoints_write_costs_only_that_checkpoint(
    pipeline: Path, repro_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WAITS", ())
    edit(
        Path("ebm/checkpoint.py"),
        lambda text: text.replace(
            '        file.write(MAGIC + digest + b"\\n" + payload)\n',
            "        if state.get('step') == 8 and not Path('.work/killed').exists():\n"
            "            file.write(MAGIC + digest + payload[:99]); file.flush()\n"
            f"            Path('.work/killed').touch(); {DIE}\n"
            '        file.write(MAGIC + digest + b"\\n" + payload)\n',
        ),
    )
    assert [row.state for row in run_experiments([JOINT], "train").rows] == ["Failed"]
    assert Path(".work/killed").exists()
    finish_and_compare(repro_template)
    assert min(steps_run()) == 6  # after the checkpoint at iteration 4


def test_a_kill_inside_dvc_locks_write_loses_no_result(
    pipeline: Path, repro_template: Path
) -> None:
    good = outputs(pipeline)
    run_experiments([JOINT], "prepare")  # a good copy of dvc.lock is kept
    cut = (
        "import dvc.dvcfile as f\ndump = f.Lockfile.dump_stages\n"
        "def cut(self, *a, **k):\n"
        "    dump(self, *a, **k); text = open('dvc.lock').read()\n"
        f"    open('dvc.lock', 'w').write(text[:len(text) // 3]); {DIE}\n"
        "f.Lockfile.dump_stages = cut\n"
    )
    runner = start(f"{cut}{FLOW}")
    assert runner.wait() == -signal.SIGKILL
    assert outputs_or_none() != good
    record = Paths().record("train", JOINT, "joint").read_bytes()
    outcome = run_experiments([JOINT])
    states = {row.address: row.state for row in outcome.rows}
    assert states["fetch@digits"] == states["prepare@digits"] == "UpToDate"
    assert states[TRAIN] == "Restored"  # DVC's cache knew it already
    assert outputs(pipeline)[TRAIN] == outputs(repro_template)[TRAIN]
    assert Paths().record("train", JOINT, "joint").read_bytes() == record


def outputs_or_none() -> object:
    """Return what dvc.lock holds, None where it cannot be read."""
    try:
        return outputs(Path())
    except Exception:
        return None


def test_a_kill_between_training_and_dvc_does_not_train_again(
    pipeline: Path, repro_template: Path
) -> None:
    runner = start(
        f"import dvc.stage as s\ndef die(*a, **k):\n    {DIE}\ns.Stage.save = die\n{FLOW}"
    )
    assert runner.wait() == -signal.SIGKILL
    finish_and_compare(repro_template)
    assert steps_run() == []  # the last checkpoint was the end


def test_a_kill_leaves_earlier_results_and_settings_as_they_were(
    trained: Path, repro_template: Path
) -> None:
    settings = Path("params.yaml").read_bytes()
    key = f"experiments.{JOINT}.train.joint.fit.updates"
    changed = FLOW.replace("'train')", f"'train', changes={{'{key}': 20}})")
    with paused(step=6):
        runner = start(changed)
        wait_until(Path(".work/paused").exists, "training")
        runner.kill()
        runner.wait()
        assert Path("params.yaml").read_bytes() == settings
        wait_until(lambda: not trainers(), "end of the trainer")
    said = {row.state for row in run_experiments([JOINT], "train").rows}
    assert said == {"UpToDate"}  # the outputs that DVC had deleted are back
    finish_and_compare(repro_template)


def test_there_is_never_a_second_trainer_beside_a_living_one(
    pipeline: Path, repro_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "PATIENCE", 0.2)
    with paused(step=6):
        lone = subprocess.Popen([sys.executable, "-m", "tasks", "train", JOINT, "joint"])
        wait_until(Path(".work/paused").exists, "training")
        with pytest.raises(Busy, match=f"already being run by process {lone.pid}"):
            run_experiments([JOINT], "train")
        assert len(trainers()) == 1
        lone.kill()
        lone.wait()
    set_param(Path(), f"experiments.{JOINT}.about", "words change nothing")
    finish_and_compare(repro_template)


def test_a_second_flow_is_refused_and_the_first_goes_on(
    pipeline: Path, repro_template: Path
) -> None:
    with paused(step=6):
        first = start(FLOW)
        wait_until(Path(".work/paused").exists, "training")
        with pytest.raises(Busy, match=rf"process {first.pid} \({JOINT}, since"):
            run_experiments([JOINT], "train")
        assert len(trainers()) == 1
    assert first.wait() == 0
    assert outputs(pipeline)[TRAIN] == outputs(repro_template)[TRAIN]


def test_a_run_that_is_stopped_alone_leaves_the_outputs_of_before(trained: Path) -> None:
    model = Path("models") / JOINT / "joint" / "model.pt"
    before = model.read_bytes()
    words = f"['run', '{JOINT}', '--force', '--only', 'train']"
    with paused(step=6):
        runner = start(f"from flows.cli import app; app({words})")
        wait_until(Path(".work/paused").exists, "training")
        assert not model.exists()
        os.kill(runner.pid, signal.SIGINT)  # as `ebm stop` does: its stage is told nothing
        assert runner.wait() == 130
    assert not trainers() and not backup.waiting(Paths())
    assert model.read_bytes() == before
