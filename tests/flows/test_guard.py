"""What can be known to fail is said before a stage is touched; outputs outlive what fails."""

import errno
import fcntl
import json
import os
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import pytest

from ebm import checkpoint
from flows import backup, guard, runner
from flows.graph import Stage
from flows.hold import hold, repair
from tasks.artefacts import write_text
from tasks.paths import Paths
from tasks.scratch import Busy
from tasks.settings import read

STAGE = Stage("train@x", "train", "x", "one", (), (), ("models/x", "results/x.json"), "")
STATE = {"step": 1, "learner": {}, "average": {}, "order": 0, "curves": []}
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A folder where the stage has run."""
    paths = Paths(tmp_path)
    (tmp_path / "models" / "x").mkdir(parents=True)
    (tmp_path / "models" / "x" / "model").write_text("old")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "x.json").write_text("old")
    return paths


def contents(paths: Paths) -> tuple[str, str]:
    """Return what the outputs hold."""
    root = paths.root
    return (root / "models/x/model").read_text(), (root / "results/x.json").read_text()


def test_outputs_come_back_after_a_failure(paths: Paths) -> None:
    backup.protect(paths, STAGE)
    backup.remove(paths.root / "models" / "x")
    backup.remove(paths.root / "results" / "x.json")
    (paths.root / "results" / "x.json").write_text("half")
    backup.restore(paths, backup.place(paths, STAGE))
    assert contents(paths) == ("old", "old")
    assert not list((paths.work / "backup").iterdir())


def test_what_a_failed_stage_wrote_where_nothing_was_is_removed(paths: Paths) -> None:
    backup.remove(paths.root / "models" / "x")
    backup.protect(paths, STAGE)
    (paths.root / "models" / "x").mkdir()
    backup.restore(paths, backup.place(paths, STAGE))
    assert not (paths.root / "models" / "x").exists()


def test_outputs_that_a_kill_left_missing_come_back_at_the_next_entry(paths: Paths) -> None:
    backup.protect(paths, STAGE)
    backup.remove(paths.root / "models" / "x")
    assert repair(paths, cut_off=True) == ["train@x: its outputs are back"]
    assert contents(paths) == ("old", "old")
    assert repair(paths, cut_off=True) == []


def test_new_outputs_that_are_whole_stay(paths: Paths) -> None:
    backup.protect(paths, STAGE)
    backup.remove(paths.root / "models" / "x")
    (paths.root / "models" / "x").mkdir()
    (paths.root / "models" / "x" / "model").write_text("new")
    assert repair(paths, cut_off=True) == []
    assert contents(paths) == ("new", "old")
    assert not list((paths.work / "backup").iterdir())


def test_a_restoration_that_was_cut_off_is_done_again(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup.protect(paths, STAGE)
    for out in STAGE.outs:
        backup.remove(paths.root / out)
    with monkeypatch.context() as patch:
        patch.setattr(backup, "drop", lambda target: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            backup.restore(paths, backup.place(paths, STAGE))
    backup.remove(paths.root / "models" / "x")
    backup.recover(paths)
    assert contents(paths) == ("old", "old")


def test_a_cut_list_of_dvcs_readers_is_removed(paths: Paths) -> None:
    path = paths.root / ".dvc" / "tmp" / "rwlock"
    path.parent.mkdir(parents=True)
    path.write_text('{"write": {"/a"')
    assert "cut by a kill" in repair(paths, cut_off=True)[0]
    assert not path.exists()


def test_a_process_id_that_is_anothers_now_blocks_nobody(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = paths.root / ".dvc" / "tmp" / "rwlock"
    path.parent.mkdir(parents=True)
    mine = {"pid": os.getpid(), "cmd": "dvc repro"}
    used = {"write": {"/a": mine}, "read": {"/b": [mine], "/c": []}}
    path.write_text(json.dumps(used))
    assert repair(paths, cut_off=True) == []
    assert json.loads(path.read_text()) == used  # written by this process, for all that is known
    os.utime(path, (0, psutil.Process().create_time() - 60))
    monkeypatch.setattr(psutil.Process, "cmdline", lambda self: ["python", "-m", "dvc", "repro"])
    assert repair(paths, cut_off=True) == []  # one of DVC's own: the clock may have been set
    monkeypatch.undo()
    [said] = repair(paths, cut_off=True)
    assert "whose id is another's now" in said
    assert json.loads(path.read_text()) == {"write": {}, "read": {}}


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes another user")
def test_another_users_run_is_seen_by_its_lock() -> None:
    become = "os.setgroups([]); os.setgid(65534); os.setuid(65534)"
    with TemporaryDirectory() as folder, hold(Paths(Path(folder)), ["a"]):
        Path(folder).chmod(0o755)
        look = f"print(holder(Path({folder!r}, '.work', 'flow.lock')))"
        code = (
            f"import os; from pathlib import Path; from flows.locks import holder; {become}; {look}"
        )
        seen = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
        assert seen.stdout.split() == [str(os.getpid()).encode()]


def test_one_run_at_a_time_and_the_other_is_named(paths: Paths) -> None:
    with (
        hold(paths, ["a"]) as done,
        pytest.raises(Busy, match=rf"process {os.getpid()} \(a, since"),
        hold(paths, ["b"]),
    ):
        pass
    assert done == []


def test_a_run_that_is_refused_is_none_that_was_cut_off(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []
    monkeypatch.setattr("flows.hold.repair", lambda paths, cut_off: told.append(cut_off) or [])
    with pytest.raises(ValueError, match="refused"), hold(paths, ["b"]):
        raise ValueError("it was refused, and not cut off")
    with hold(paths, ["b"]):
        pass
    (paths.work / "flow.lock").write_text("process 1")  # what a kill leaves
    with hold(paths, ["c"]):
        pass
    assert told == [False, False, True]


def test_what_could_not_be_put_in_order_is_still_to_be_put_in_order(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []

    def repair(paths: Paths, cut_off: bool) -> list[str]:
        told.append(cut_off)
        raise ValueError("it cannot be read")

    monkeypatch.setattr("flows.hold.repair", repair)
    paths.work.mkdir(parents=True, exist_ok=True)
    (paths.work / "flow.lock").write_text("process 1")  # what a kill leaves
    for _ in range(2):
        with pytest.raises(ValueError, match="cannot be read"), hold(paths, ["a"]):
            pass
    assert told == [True, True]


def test_beginnings_of_files_go_with_their_writers(paths: Paths) -> None:
    gone, mine = (paths.work / "live" / f".x.json.{pid}-1.part" for pid in (2**22 + 1, os.getpid()))
    for place in (gone, mine):
        write_text(place, "half")
    with hold(paths, ["a"]):
        assert not gone.exists() and mine.exists()


def test_a_stage_that_a_living_process_runs_is_refused(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "PATIENCE", 0.1)
    lock = paths.work / "scratch" / "x" / "train-one" / "lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("process 77")
    guard.idle(paths, STAGE)
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(Busy, match="train@x is already being run by process 77"):
            guard.idle(paths, STAGE)
    guard.idle(paths, STAGE)


def test_a_full_disk_is_refused(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard.shutil, "disk_usage", lambda path: Usage(10, 9, 2**20))
    with pytest.raises(ValueError, match="the disk has 1 MB free; a run needs"):
        guard.disk(paths)


def test_a_stage_that_could_not_even_write_its_log_says_that_the_disk_is_full(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dvc.stage.exceptions import StageCmdFailedError

    error = StageCmdFailedError("python -m tasks train x", 1)
    assert runner.why(paths, STAGE, error).endswith("exited with 1")
    monkeypatch.setattr(guard.shutil, "disk_usage", lambda path: Usage(10, 10, 0))
    said = "the disk is full; free some space and run it again"
    assert runner.why(paths, STAGE, error) == said
    log = paths.log(STAGE.verb, STAGE.name, STAGE.part)
    log.parent.mkdir(parents=True)
    log.write_text("train x: its own words\n")
    assert runner.why(paths, STAGE, error) == "train x: its own words"
    of_the_flow = RuntimeError("it could not be saved")
    of_the_flow.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert runner.why(paths, STAGE, of_the_flow) == said


def test_altered_source_data_is_refused(
    raw_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "digits.csv.gz"
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / name).write_bytes((raw_digits / name).read_bytes()[:-9])
    stage = STAGE._replace(verb="fetch", name="digits")
    guard.source(stage)
    monkeypatch.setenv("EBM_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="digits.csv.gz is truncated or altered"):
        guard.source(stage)


def test_a_missing_file_is_named_with_the_stage_that_makes_it(paths: Paths) -> None:
    maker = STAGE._replace(address="prepare@x", outs=("data/x",))
    reader = STAGE._replace(deps=("data/x/train.npz",))
    every = {s.address: s for s in (maker, reader)}
    guard.dependencies(paths, reader, [maker, reader], every)
    with pytest.raises(ValueError, match="reads data/x/train.npz, which is missing; run prepare@x"):
        guard.dependencies(paths, reader, [reader], every)
    with pytest.raises(ValueError, match="put it there"):
        guard.dependencies(paths, reader, [reader], {})
    (paths.root / "data" / "x").mkdir(parents=True, exist_ok=True)
    (paths.root / "data" / "x" / "train.npz.dvc").touch()
    with pytest.raises(ValueError, match=r"`dvc pull data/x/train\.npz\.dvc` brings it"):
        guard.dependencies(paths, reader, [reader], {})


def test_a_checkpoint_that_is_damaged_or_of_other_settings_is_no_hindrance(pipeline: Path) -> None:
    paths, params = Paths(), read(Path("params.yaml"))
    stage = STAGE._replace(name="multigrid-digits-joint", part="joint")
    home = paths.work / "scratch" / stage.name / stage.label
    folder = home / guard.mark(paths, params, stage)
    folder.mkdir(parents=True)
    (home / "other").mkdir()
    (home / "other" / "checkpoint.pt").write_bytes(b"of other settings, so never read")
    guard.checkpoint(paths, params, stage)
    checkpoint.write(folder / "checkpoint.pt", STATE)
    guard.checkpoint(paths, params, stage)
    damaged = (folder / "checkpoint.pt").read_bytes()[:-9]
    (folder / "checkpoint.pt").write_bytes(damaged)
    guard.checkpoint(paths, params, stage)


def test_a_gpu_stage_without_a_gpu_is_refused(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = read(Path("params.yaml"), {"experiments.multigrid-digits-joint.device": "gpu"})
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    stage = STAGE._replace(name="multigrid-digits-joint", part="joint")
    with pytest.raises(ValueError, match="train@x: device is 'gpu', and torch sees no GPU"):
        guard.device(params, stage)


@pytest.mark.parametrize("state", [{"step": 1}, {**STATE, "step": 10**6}, {**STATE, "step": "1"}])
def test_a_checkpoint_of_another_run_is_named(pipeline: Path, state: dict[str, Any]) -> None:
    paths, params = Paths(), read(Path("params.yaml"))
    stage = STAGE._replace(name="multigrid-digits-joint", part="joint")
    home = paths.work / "scratch" / stage.name / stage.label
    folder = home / guard.mark(paths, params, stage)
    folder.mkdir(parents=True)
    checkpoint.write(folder / "checkpoint.pt", state)
    words = r"checkpoint\.pt belongs to another run; `ebm clean multigrid-digits-joint` removes it"
    with pytest.raises(ValueError, match=words):
        guard.checkpoint(paths, params, stage)


def test_a_split_beyond_the_items_is_refused_where_their_number_is_known(pipeline: Path) -> None:
    stage = STAGE._replace(verb="prepare", name="digits", part=None)
    guard.splits(Paths(), read(Path("params.yaml")), stage)
    params = read(Path("params.yaml"), {"datasets.digits.validation": 1500})
    with pytest.raises(ValueError, match=r"datasets\.digits holds out 1850 of 1797 items"):
        guard.splits(Paths(), params, stage)
    next(Path("data/raw/digits").iterdir()).write_bytes(b"other data, of unknown number")
    guard.splits(Paths(), params, stage)


def test_a_validation_part_beyond_the_training_items_is_refused(pipeline: Path) -> None:
    stage = STAGE._replace(verb="prepare", name="mnist", part=None)
    guard.splits(Paths(), read(Path("params.yaml")), stage)
    params = read(Path("params.yaml"), {"datasets.mnist.validation": 10**6})
    with pytest.raises(ValueError, match=r"datasets\.mnist holds out 1000000 of"):
        guard.splits(Paths(), params, stage)
