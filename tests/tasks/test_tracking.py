"""MLflow is told everything once, late rather than never, and never stops the work."""

import json
import os
import sqlite3
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tasks import settings, tracking
from tasks.mlflow_store import ADDRESS, Broken, check, flatten
from tasks.paths import Paths
from tasks.tracked import leftovers
from tasks.tracking import Tracker

ROOT = Path(__file__).parents[2]
NAME = "multigrid-digits-joint"
STAGE = (f"train@{NAME}-joint", "train", NAME, "joint")


class FakeStore:
    """Remembers what it is told; raises where it is told to."""

    def __init__(self, fail_at: str = "") -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.removed: list[str] = []
        self.fail_at = fail_at

    def __call__(self, root: Path) -> "FakeStore":
        self.fail("open")
        return self

    def fail(self, where: str) -> None:
        if where == self.fail_at:
            raise RuntimeError(f"database is gone at {where}\nwith a long trace")

    def open_run(
        self, name: str, tags: dict[str, str], parent: str | None = None, started: float = 0
    ) -> str:
        self.fail("open_run" if parent else "open_parent")
        run = f"run-{len(self.runs) + len(self.removed)}"
        self.runs[run] = {"name": name, "tags": dict(tags), "parent": parent, "params": []}
        self.runs[run] |= {"lines": [], "artifacts": [], "status": "RUNNING", "model": None}
        return run

    def close_run(self, run: str, status: str, ended: float = 0) -> None:
        self.fail("close_run")
        self.runs[run]["status"] = status

    def remove_run(self, run: str) -> None:
        self.runs.pop(run)
        self.removed.append(run)

    def is_open(self, run: str) -> bool:
        return self.runs[run]["status"] == "RUNNING"

    def tags(self, run: str, tags: dict[str, str]) -> None:
        self.runs[run]["tags"] |= tags

    def params(self, run: str, values: dict[str, Any]) -> None:
        self.runs[run]["params"].append(values)

    def figures(self, run: str, lines: list[dict[str, Any]], when: float = 0) -> None:
        self.fail("figures")
        self.runs[run]["lines"] += lines

    def artifact(self, run: str, path: Path, folder: str) -> None:
        self.runs[run]["artifacts"].append(f"{folder}/{path.name}")

    def picture(self, run: str, path: Path, key: str) -> None:
        self.runs[run].setdefault("shown", []).append(key)

    def dataset(self, run: str, name: str, mark: str) -> None:
        self.runs[run]["dataset"] = (name, mark)

    def model(self, run: str, folder: Path, shape: tuple[int, ...]) -> None:
        self.runs[run]["model"] = (folder, shape)

    def named(self, name: str) -> dict[str, Any]:
        return next(run for run in self.runs.values() if run["name"] == name)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths(tmp_path)
    manifest = made.prepared("digits") / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"raw": {"a.gz": "5a"}, "shape": [1, 8, 8]}))
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\n")
    return made


def follow(paths: Paths, lines: list[dict[str, float]]) -> None:
    """Write figures as a running stage does."""
    file = paths.figures(*STAGE[1:])
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as text:
        text.writelines(json.dumps(line) + "\n" for line in lines)


def leave_record(paths: Paths, **facts: Any) -> Path:
    """Write a record as a stage does at its end."""
    record = paths.record(*STAGE[1:])
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps({"started": "now", "command": "python -m tasks", **facts}))
    return record


def track(paths: Paths, store: FakeStore, said: list[str]) -> Tracker:
    params = settings.read(ROOT / "params.yaml")
    return Tracker(paths, params, "a flow", "ebm run", said.append, store)


def run_stage(tracker: Tracker, paths: Paths, verdict: str = "healthy") -> Path:
    tracker.stage_started(*STAGE, prefect_run="p-1")
    follow(paths, [{"step": 1, "8/gap": 0.5}, {"step": 2, "8/gap": 0.25}])
    record = leave_record(paths, verdict=verdict)
    tracker.stage_ended(STAGE[0], "Ran")
    return record


def test_a_stage_is_told_with_params_once_figures_and_the_tags_that_link_all_tools(
    paths: Paths,
) -> None:
    store, said = FakeStore(), []
    with track(paths, store, said) as tracker:
        record = run_stage(tracker, paths)
    child = store.named(f"{NAME} train-joint")
    assert said == []
    assert child["parent"] == "run-0"
    assert len(child["params"]) == 1
    assert child["params"][0]["train"]["fit"]["batch"] == 100
    assert [line["8/gap"] for line in child["lines"]] == [0.5, 0.25]
    assert child["tags"]["dvc.stage"] == STAGE[0]
    assert child["tags"]["prefect.flow_run_id"] == "p-1"
    assert child["tags"]["data.sha256"] == "5a"
    assert len(child["tags"]["dvc.lock.sha256"]) == 64
    parent = store.runs["run-0"]["tags"]
    assert (parent["prefect.flow_run_id"], parent["data.sha256"]) == ("p-1", "5a")
    assert {"git.commit", "git.dirty", "command", "verdict"} <= child["tags"].keys()
    for run in (child["tags"], parent):
        assert (run["experiment"], run["system"], run["dataset"]) == (NAME, "S10", "digits")
        assert (run["learner"], run["device"]) == ("multigrid", "cpu")
    assert f"Stage `{STAGE[0]}`" in child["tags"]["mlflow.note.content"]
    assert parent["mlflow.note.content"].startswith(f"`ebm run`\n\n### {NAME}")
    assert store.runs["run-0"]["dataset"] == ("digits", "5a")
    assert child["model"] == (paths.model(NAME, "joint"), (1, 8, 8))
    assert {run["status"] for run in store.runs.values()} == {"FINISHED"}
    assert json.loads(record.read_text())["mlflow_run"] == "run-1"
    assert json.loads(record.read_text())["prefect_run"] == "p-1"
    assert not list((paths.work / "replay").iterdir())
    assert said == []


def test_a_flow_in_which_nothing_ran_leaves_no_run(paths: Paths) -> None:
    store = FakeStore()
    with track(paths, store, []):
        pass
    assert store.runs == {}


def test_metrics_and_pictures_are_told(paths: Paths) -> None:
    store = FakeStore()
    results = paths.results(NAME)
    (results / "samples").mkdir(parents=True)
    (results / "metrics.json").write_text(
        json.dumps({"metrics": [{"metric": "frechet", "value": 2.0, "spread": None, "floor": 1}]})
    )
    with track(paths, store, []) as tracker:
        tracker.stage_started(f"evaluate@{NAME}", "evaluate", NAME, None)
        tracker.stage_ended(f"evaluate@{NAME}", "Ran")
    child = store.named(f"{NAME} evaluate")
    assert child["lines"] == [{"step": 0, "frechet": 2.0, "frechet.floor": 1.0}]
    assert store.runs["run-0"]["lines"] == [{"step": 0, f"{NAME}/frechet": 2.0}]
    assert "| frechet | 2 | 1 |" in store.runs["run-0"]["tags"]["mlflow.note.content"]
    assert child["artifacts"] == ["metrics/metrics.json"]


def test_figures_of_an_earlier_run_of_the_stage_are_not_told(paths: Paths) -> None:
    follow(paths, [{"step": 1, "8/gap": 9.0}])
    record = leave_record(paths, verdict="old")
    for file in (paths.figures(*STAGE[1:]), record):
        os.utime(file, (time.time() - 60, time.time() - 60))
    store = FakeStore()
    with track(paths, store, []) as tracker:
        tracker.stage_started(*STAGE)
        tracker.stage_ended(STAGE[0], "UpToDate")
    child = store.named(f"{NAME} train-joint")
    assert child["lines"] == []
    assert "verdict" not in child["tags"]


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_jumps_loses_nothing_and_takes_nothing_older(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + days * 86400)
    store = FakeStore()
    with track(paths, store, []) as tracker:
        record = run_stage(tracker, paths)
    child = store.named(f"{NAME} train-joint")
    assert [line["8/gap"] for line in child["lines"]] == [0.5, 0.25]
    assert child["tags"]["verdict"] == "healthy"
    assert json.loads(record.read_text())["mlflow_run"] == "run-1"
    with track(paths, again := FakeStore(), []) as tracker:
        tracker.stage_started(*STAGE)
        tracker.stage_ended(STAGE[0], "UpToDate")
    child = again.named(f"{NAME} train-joint")
    assert child["lines"] == [] and "verdict" not in child["tags"]


def test_figures_are_told_while_the_stage_runs(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "INTERVAL", 0.02)
    store = FakeStore()
    with track(paths, store, []) as tracker:
        tracker.stage_started(*STAGE)
        follow(paths, [{"step": 1, "8/gap": 0.5}])
        for _ in range(500):
            if "run-1" in store.runs and store.runs["run-1"]["lines"]:
                break
            time.sleep(0.01)
        assert store.runs["run-1"]["lines"] == [{"step": 1, "8/gap": 0.5}]
        paths.figures(*STAGE[1:]).unlink()  # a second try of the stage
        follow(paths, [{"step": 1, "8/gap": 0.7}])
        tracker.stage_ended(STAGE[0], "Ran")
    assert [line["8/gap"] for line in store.runs["run-1"]["lines"]] == [0.5, 0.7]


@pytest.mark.parametrize("where", ["open", "open_parent", "open_run", "figures", "close_run"])
def test_a_break_in_mid_run_is_said_once_and_told_by_the_next_flow(
    paths: Paths, where: str
) -> None:
    store, said = FakeStore(where), []
    with track(paths, store, said) as tracker:
        run_stage(tracker, paths)
        tracker.stage_started(f"sample@{NAME}", "sample", NAME, None)
        tracker.stage_ended(f"sample@{NAME}", "Ran")
    assert len(said) == 1
    assert "work goes on" in said[0]
    assert "long trace" not in said[0]
    paths.figures(*STAGE[1:]).write_text('{"step": 1, "8/gap": 77}\n')  # the next run's

    store.fail_at = ""
    before = len(store.runs)
    with track(
        paths, store, said
    ):  # refused, or skipped, as another flow is at work: tells nothing
        pass
    assert len(store.runs) == before
    with track(paths, store, said) as tracker:
        tracker.catch_up()
    told = store.named(f"{NAME} train-joint")
    assert [line["8/gap"] for line in told["lines"]] == [0.5, 0.25]
    assert told["status"] == "FINISHED"
    assert told["tags"]["ebm.replayed"] == "True"
    assert told["tags"]["prefect.flow_run_id"] == "p-1"
    assert sum(run["name"] == f"{NAME} train-joint" for run in store.runs.values()) == 1
    assert not list((paths.work / "replay").iterdir())


def test_a_stage_of_a_killed_flow_is_told_as_killed(paths: Paths) -> None:
    store = FakeStore()
    dead = track(paths, store, [])
    dead.stage_started(*STAGE)
    while dead.events.unfinished_tasks:
        time.sleep(0.01)
    follow(paths, [{"step": 1, "8/gap": 0.5}])
    job = next((paths.work / "replay").glob("*/job.json"))
    job.write_text(json.dumps({**json.loads(job.read_text()), "owner": [os.getpid(), "before"]}))
    said: list[str] = []
    with track(paths, store, said) as tracker:
        tracker.catch_up()
    assert said == ["MLflow now knows of 1 stage that it had missed before"]
    assert store.removed == ["run-1"]
    assert store.runs["run-0"]["status"] == "KILLED"
    assert store.named(f"{NAME} train-joint")["status"] == "KILLED"
    assert store.named(f"{NAME} train-joint")["lines"] == [{"step": 1, "8/gap": 0.5}]


def test_a_failed_stage_fails_its_run_and_the_flows(paths: Paths) -> None:
    store = FakeStore()
    with pytest.raises(KeyError), track(paths, store, []) as tracker:
        tracker.stage_started(*STAGE)
        raise KeyError("the flow breaks")
    assert {run["status"] for run in store.runs.values()} == {"FAILED"}


def test_without_mlflow_a_line_says_so_and_work_goes_on(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "installed", lambda: False)
    said: list[str] = []
    with track(paths, FakeStore(), said) as tracker:
        run_stage(tracker, paths)
    assert len(said) == 1
    assert "not installed" in said[0]


def test_a_database_that_cannot_be_used_stops_before_work_starts(tmp_path: Path) -> None:
    check(tmp_path)
    assert not (tmp_path / "mlflow.db").exists()
    database = tmp_path / "mlflow.db"
    database.write_bytes(b"not a database " * 100)
    with pytest.raises(Broken, match="mlflow.db"):
        check(tmp_path)
    database.unlink()
    with sqlite3.connect(database) as other:
        other.execute("CREATE TABLE mine (x)")
    with pytest.raises(Broken, match="not MLflow's"):
        check(tmp_path)
    database.unlink()
    database.mkdir()
    with pytest.raises(Broken, match="cannot be written"):
        check(tmp_path)


def test_settings_are_flat_by_dotted_key() -> None:
    nested = {"train": {"grids": [{"size": 2}, {"size": 4}], "masks": ["half"]}, "seed": 0}
    assert flatten(nested) == {
        "train.grids.0.size": 2,
        "train.grids.1.size": 4,
        "train.masks": ["half"],
        "seed": 0,
    }


def test_mlflow_itself_holds_the_runs_and_a_model_that_loads(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    address, other = (f"sqlite:///{tmp_path / name}.db" for name in ("mlflow", "other"))
    monkeypatch.setenv(ADDRESS, other)
    from ebm.learn import learner_class
    from ebm.stored import load, save

    params = settings.read(ROOT / "params.yaml")
    kind = learner_class("multigrid")
    torch.manual_seed(0)
    learner = kind(params.experiments[NAME].train["joint"].model)
    folder = paths.model(NAME, "joint")
    folder.mkdir(parents=True)
    save(folder, "multigrid", learner, learner.networks)
    with Tracker(paths, params, "a flow", "ebm run") as tracker:
        record = run_stage(tracker, paths)
    assert tracker.broken is None
    assert mlflow.get_tracking_uri() == other and os.environ[ADDRESS] == other
    monkeypatch.setenv(ADDRESS, address)
    client = mlflow.MlflowClient(tracking_uri=address)
    facts = json.loads(record.read_text())
    run = client.get_run(facts["mlflow_run"])
    assert run.data.tags["mlflow.parentRunId"] == facts["mlflow_parent"]
    assert run.data.params["train.fit.batch"] == "100"
    assert [m.value for m in client.get_metric_history(run.info.run_id, "8/gap")] == [0.5, 0.25]
    assert run.info.status == "FINISHED"
    [logged] = client.search_logged_models([run.info.experiment_id])
    model = mlflow.pyfunc.load_model(logged.model_uri)
    assert model.metadata.signature.inputs.inputs[0].shape == (-1, 1, 8, 8)
    x = np.linspace(-1, 1, 128, dtype=np.float32).reshape(2, 1, 8, 8)
    with torch.no_grad():
        right = load(folder).score(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(model.predict(x), right, rtol=1e-6)


def test_the_reason_is_the_line_that_says_it(tmp_path: Path) -> None:
    said: list[str] = []
    tracker = track(Paths(tmp_path), FakeStore(), said)
    aside = "(raised as a result of Query-invoked autoflush; consider a block)\n"
    reason = "(sqlite3.OperationalError) disk is full"
    tracker.break_off(RuntimeError(f"{aside}{reason}\n[SQL: INSERT]"))
    assert tracker.broken == reason
    assert len(said) == 1 and "cannot be told ((sqlite3.Op" in said[0]


@pytest.mark.parametrize("content", ["[]", '{"owner": null}', '{"owner": [1', "{}"])
def test_a_stage_that_cannot_be_read_is_put_aside_and_the_others_are_told(
    paths: Paths, content: str
) -> None:
    place = paths.work / "replay" / "a--train--1"
    place.mkdir(parents=True)
    (place / "job.json").write_text(content)
    said: list[str] = []
    assert leftovers(paths, said.append) == []
    assert said[0].startswith("a--train--1 is lost to MLflow")
    assert place.with_name(".a--train--1").is_dir() and not place.exists()
    assert leftovers(paths, said.append) == [] and len(said) == 1
