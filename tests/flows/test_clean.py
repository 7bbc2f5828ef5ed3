"""`ebm clean` frees what idle stages left, and nothing else."""

import fcntl
from pathlib import Path

from flows import history
from flows.clean import clean, size_text, stages
from flows.hold import hold
from tasks.artefacts import write_text
from tasks.paths import Paths


def project(root: Path) -> list[Path]:
    """Make a stage's leftovers, and return what must stay."""
    for name in (
        ".work/scratch/a/train-x/abc/checkpoint.pt",
        ".work/scratch/a/train-x/lock",
        ".work/logs/a/train-x.log",
        ".work/live/a/train-x.json",
        ".work/figures/a/train-x.jsonl",
        ".work/broken/a/x.csv",
        ".work/broken/a/x/post-mortem.html",
        ".work/logs/b/sample.log",
        ".work/runs/a/train-x.json",
        ".work/replay/one/job.json",
        "results/a/metrics.json",
        "models/a/x/model.pt",
        "data/raw/a/file",
        "mlflow.db",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("12345")
    stay = ("runs", "replay", "results", "models", "data", "mlflow.db")
    return [p for p in root.rglob("*") if p.is_file() and set(p.relative_to(root).parts) & {*stay}]


def test_scratch_logs_and_live_files_go_and_results_and_data_stay(tmp_path: Path) -> None:
    stay = project(tmp_path)
    freed = clean(Paths(tmp_path))
    assert freed.bytes == {"scratch": 5, "logs": 10, "live": 5, "figures": 5, "broken": 10}
    assert freed.running == []
    left = {p for p in tmp_path.rglob("*") if p.is_file()}
    assert left == {*stay, tmp_path / ".work/scratch/a/train-x/lock"}


def test_only_the_named_experiment_is_cleaned(tmp_path: Path) -> None:
    project(tmp_path)
    assert clean(Paths(tmp_path), ["b"]).bytes == {"logs": 5}
    assert (tmp_path / ".work/scratch/a/train-x/abc/checkpoint.pt").exists()


def test_a_running_stage_is_left_alone(tmp_path: Path) -> None:
    project(tmp_path)
    with (tmp_path / ".work/scratch/a/train-x/lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        freed = clean(Paths(tmp_path))
    assert freed.running == ["a train-x"]
    assert freed.bytes == {"logs": 5}
    assert (tmp_path / ".work/live/a/train-x.json").exists()


def test_an_experiment_at_work_is_left_alone_though_none_of_its_stages_runs(
    tmp_path: Path,
) -> None:
    project(tmp_path)
    paths = Paths(tmp_path)
    with history.kept(paths, ["a", "c"], "ebm suite cpu"), hold(paths, ["suite cpu"]):
        freed = clean(paths)  # as between two tries of a stage
    assert freed == ({"logs": 5}, ["a"])
    assert (tmp_path / ".work/scratch/a/train-x/abc/checkpoint.pt").exists()
    assert clean(paths).running == []
    assert not (tmp_path / ".work/scratch/a/train-x/abc").exists()


def test_figures_that_mlflow_has_still_to_be_told_are_kept(tmp_path: Path) -> None:
    project(tmp_path)
    (tmp_path / ".work/replay/a--train-x--1/").mkdir()
    assert "figures" not in clean(Paths(tmp_path)).bytes
    assert (tmp_path / ".work/figures/a/train-x.jsonl").exists()


def test_the_beginning_of_a_file_is_no_stage(tmp_path: Path) -> None:
    write_text(tmp_path / ".work" / "live" / "a" / ".train.json.77-1.part", "{")
    assert stages(Paths(tmp_path), None) == []


def test_sizes_are_said_in_units() -> None:
    assert [size_text(n) for n in (5, 1500, 2_500_000, 4 * 10**9)] == [
        "5 B",
        "1.5 kB",
        "2.5 MB",
        "4.0 GB",
    ]
