"""A stage that takes too long is ended and goes on later; one that failed in passing runs again."""

from pathlib import Path

import pytest

from flows import limits
from flows.experiment import Hooks, run_experiments
from flows.locks import holder
from tasks.refusals import SettingsError
from tests.flows.conftest import JOINT, TRAIN, edit, outputs, set_param
from tests.flows.test_kill import paused, steps_run, trainers

BEGIN = "    job = Job(name, part, inputs, paths, scratch, monitor)\n"


def at_its_beginning(code: str) -> None:
    """Have the training stage do something first, once: the first time that it runs."""
    once = f"    if not Path('.work/once').exists(): Path('.work/once').touch(); {code}\n"
    edit(
        Path("tasks/train.py"),
        lambda t: t.replace(BEGIN, f"    from pathlib import Path\n{once}{BEGIN}"),
    )


def test_a_stage_that_takes_too_long_is_ended_and_the_next_run_goes_on_to_the_same_bits(
    pipeline: Path, repro_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def holder_in_training(lock: Path) -> int | None:
        return holder(lock) if Path(".work/paused").exists() else None

    monkeypatch.setattr(limits, "holder", holder_in_training)
    set_param(Path(), "limits.train", 0.002)
    with paused(step=6):
        (row,) = run_experiments([JOINT], "train").rows
    assert row.state == "Failed"
    assert row.reason == (
        "it took longer than 0.002 minutes, which limits.train of params.yaml allows, and "
        "was ended; raise that, or run it again: it goes on from its checkpoint"
    )
    assert not trainers()
    set_param(Path(), "limits.train", None)
    assert [row.state for row in run_experiments([JOINT], "train").rows] == ["Ran"]
    assert min(steps_run()) > 4
    assert outputs(pipeline)[TRAIN] == outputs(repro_template)[TRAIN]


@pytest.mark.parametrize(
    "fault", ["raise ConnectionResetError('cut')", "import os; os.kill(os.getpid(), 9)"]
)
def test_a_stage_that_failed_in_passing_is_tried_again_and_said(
    pipeline: Path, repro_template: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(limits, "WAITS", (0.1, 0.1))
    at_its_beginning(fault)
    said: list[str] = []
    (row,) = run_experiments([JOINT], "train", hooks=Hooks(say=said.append)).rows
    assert row.state == "Ran"
    assert [text.endswith("tried again in 0 s (1 of 2)") for text in said] == [True]
    assert outputs(pipeline)[TRAIN] == outputs(repro_template)[TRAIN]


def test_what_fails_for_good_is_tried_once_and_what_keeps_failing_in_passing_thrice(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WAITS", (0.1, 0.1))
    count = "open('.work/tries', 'a').write('x');"
    faults = {"ValueError('no')": 1, "ConnectionResetError(104, 'reset')": 3}
    for fault, tries in faults.items():
        Path(".work/tries").unlink(missing_ok=True)
        edit(
            Path("tasks/train.py"),
            lambda t, f=fault: t.replace(BEGIN, f"    {count} raise {f}\n{BEGIN}"),
        )
        (row,) = run_experiments([JOINT], "train").rows
        assert row.state == "Failed"
        assert Path(".work/tries").read_text() == "x" * tries
        assert row.reason.endswith("(tried 3 times)") == (tries == 3)
        edit(Path("tasks/train.py"), lambda t, f=fault: t.replace(f"    {count} raise {f}\n", ""))


def test_a_limit_that_is_no_time_is_refused(pipeline: Path) -> None:
    set_param(Path(), "limits.train", 0)
    with pytest.raises(SettingsError, match=r"limits.train is 0; .*greater than 0"):
        run_experiments([JOINT], "train")
