"""The scratch folder: one process a stage, kept while unfinished, gone with its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.dataset_settings import Dataset
from tasks.inputs import PrepareInputs
from tasks.paths import Paths
from tasks.scratch import Busy, Scratch, fingerprint

HOLD = """
import sys, time
from pathlib import Path
from tasks.paths import Paths
from tasks.scratch import Scratch
with Scratch(Paths(Path(sys.argv[1])), "train", "toy", "joint", "mark"):
    print("held", flush=True)
    time.sleep(60)
"""


def scratch(root: Path, mark: str = "mark") -> Scratch:
    return Scratch(Paths(root), "train", "toy", "joint", mark)


def test_second_process_is_told_who_is_at_work(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(Busy, match=f"train-joint of toy .* by process {other.pid};"):
            scratch(tmp_path).__enter__()
        other.kill()
    with scratch(tmp_path):
        pass  # a killed holder holds nothing


def test_folder_of_an_unfinished_run_stays_and_of_a_finished_one_goes(tmp_path: Path) -> None:
    with pytest.raises(ValueError), scratch(tmp_path) as held:
        (held.folder / "checkpoint.pt").write_text("half")
        raise ValueError
    with scratch(tmp_path) as held:
        assert (held.folder / "checkpoint.pt").read_text() == "half"
    assert not held.folder.exists()


def test_flow_keeps_the_folder_until_the_result_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EBM_FLOW", str(os.getpid()))
    with scratch(tmp_path) as held:
        pass
    assert held.folder.exists()


def test_checkpoint_of_other_settings_goes(tmp_path: Path) -> None:
    with pytest.raises(ValueError), scratch(tmp_path, "old") as old:
        raise ValueError
    with scratch(tmp_path, "new"):
        assert not old.folder.exists()


def test_force_drops_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError), scratch(tmp_path) as held:
        (held.folder / "checkpoint.pt").write_text("half")
        raise ValueError
    monkeypatch.setenv("EBM_FORCE", "1")
    with scratch(tmp_path) as held:
        assert not list(held.folder.iterdir())


CODE = '"""A module."""\n\nREVISION = 1\n\nx = 1\n'


@pytest.fixture
def parts(tmp_path: Path) -> tuple[PrepareInputs, Path, Path]:
    """Settings, a dependency and code."""
    data, code = tmp_path / "data", tmp_path / "code"
    (data / "deep").mkdir(parents=True)
    (data / "deep" / "x").write_text("1")
    for package in ("ebm", "tasks"):
        (code / package).mkdir(parents=True)
        (code / package / "m.py").write_text(CODE)
    return inputs(seed=1), data, code


def inputs(seed: int) -> PrepareInputs:
    return PrepareInputs(
        dataset=Dataset(source="digits", raw="data", validation=1, test=1, seed=seed)
    )


def test_fingerprint_follows_settings_data_and_revisions(
    parts: tuple[PrepareInputs, Path, Path],
) -> None:
    settings, data, code = parts
    marks = [fingerprint(settings, [data], code), fingerprint(inputs(seed=2), [data], code)]
    for package in ("ebm", "tasks"):
        (code / package / "m.py").write_text(CODE.replace("REVISION = 1", "REVISION = 2"))
        marks.append(fingerprint(settings, [data], code))
    (data / "deep" / "x").write_text("2")
    marks.append(fingerprint(settings, [data], code))
    (data / "deep" / "x").rename(data / "x")
    marks.append(fingerprint(settings, [data], code))
    assert len(set(marks)) == len(marks)


def test_fingerprint_does_not_follow_words_or_the_project_s_place(
    parts: tuple[PrepareInputs, Path, Path], tmp_path: Path
) -> None:
    settings, data, code = parts
    mark = fingerprint(settings, [data], code)
    (code / "ebm" / "m.py").write_text(CODE.replace("A module", "Another word"))
    (data / "fingerprint").write_text("of the model below")
    assert fingerprint(settings, [data], code) == mark
    (tmp_path / "elsewhere").mkdir()
    moved = data.rename(tmp_path / "elsewhere" / "data")
    assert fingerprint(settings, [moved], code) == mark


def test_a_stage_whose_flow_ended_while_it_was_importing_ends_at_once() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    code = "import sys; from tasks import scratch; scratch.die_with_parent(int(sys.argv[1]))"
    for asker, status in ((os.getpid(), 0), (gone.pid, -signal.SIGKILL)):
        done = subprocess.run([sys.executable, "-c", code, str(asker)], check=False)
        assert done.returncode == status


ORPHAN = """
import os, sys, time
from tasks.scratch import die_with_parent
die_with_parent()
print(os.getpid(), flush=True)
time.sleep(60)
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("shell", [False, True], ids=["direct", "through a shell"])
def test_stage_ends_when_the_one_that_started_it_is_killed(shell: bool) -> None:
    start = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {ORPHAN!r}])"
    if shell:
        line = f"'{sys.executable}' -c '{ORPHAN}'; true"
        start = f"import subprocess; subprocess.run({line!r}, shell=True)"
    with subprocess.Popen(
        [sys.executable, "-c", start], stdout=subprocess.PIPE, text=True
    ) as middle:
        assert middle.stdout is not None
        pid = int(middle.stdout.readline())
        assert alive(pid)
        middle.kill()
        deadline = time.monotonic() + 20
        while alive(pid) and time.monotonic() < deadline:
            time.sleep(0.1)
    left = alive(pid)
    if left:
        os.kill(pid, signal.SIGKILL)
    assert not left
