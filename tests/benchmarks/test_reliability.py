"""The sandbox that faults are done to is a whole project, and a fault that loses bits is seen."""

import functools
import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from benchmarks import reliability, sandbox
from benchmarks.faults import FAULTS
from benchmarks.faults.others import untold
from benchmarks.faults.trial import TRACEBACK, Trial, finish
from benchmarks.sandbox import ROOT, Said, Sandbox
from tasks import settings
from tasks.artefacts import write_json

NAME = reliability.NAME
Made = tuple[Sandbox, dict[str, str], float]


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sandbox]:
    """A project that has run nothing."""
    made = Sandbox(tmp_path / "box", [NAME])
    made.make()
    yield made
    made.remove()


def test_a_sandbox_has_one_experiment_and_the_stages_that_it_needs(box: Sandbox) -> None:
    from flows.graph import all_stages, open_repo
    from tasks.paths import Paths

    params = settings.read(box.root / "params.yaml")
    assert list(params.experiments) == [NAME]
    assert params.experiments[NAME].train["learn"].fit.updates == sandbox.FIT["updates"]
    with open_repo(Paths(box.root)) as repo:
        verbs = [stage.verb for stage in all_stages(repo).values()]
    assert verbs == ["prepare", "train", "sample", "evaluate"]
    assert "&id" not in (box.root / "dvc.yaml").read_text()
    assert box.processes() == []


def test_the_graph_is_cut_to_the_rows_of_an_experiment() -> None:
    graph = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    kept = sandbox.prune(graph, ["multigrid-digits"])["stages"]
    assert list(kept["train"]["foreach"]) == [f"multigrid-digits-grid-{k}" for k in (2, 4, 8)]
    assert "reference" not in kept and "evaluate-points" not in kept


class Fixed(Sandbox):
    """A sandbox whose runs are told."""

    def __init__(self, root: Path, said: Said, found: dict[str, str]) -> None:
        super().__init__(root, [NAME])
        self.said, self.found = said, found

    def run(self, *words: str, **environment: str) -> Said:
        return self.said

    def digest(self) -> dict[str, str]:
        return self.found


@pytest.mark.parametrize(
    ("said", "found", "wrong"),
    [
        (Said(0, "", 1.0), {"models": "1"}, ""),
        (Said(0, "", 1.0), {"models": "2"}, "other bits than a run left alone: models"),
        (Said(0, "", 1.0), {}, "other bits than a run left alone: models"),
        (Said(1, "ebm: no", 1.0), {"models": "1"}, "the last run ended with 1: ebm: no"),
        (Said(0, TRACEBACK, 1.0), {"models": "1"}, "the last run printed a traceback"),
    ],
)
def test_a_last_run_must_end_well_with_the_same_bits(
    tmp_path: Path, said: Said, found: dict[str, str], wrong: str
) -> None:
    trial = Trial(Fixed(tmp_path, said, found), {"models": "1"}, 1.0, random.Random(0), [], [])
    assert finish(trial) == wrong


def test_a_stage_that_mlflow_has_no_record_or_no_curves_of_is_seen(tmp_path: Path) -> None:
    learned = {"stage": "train", "fingerprint": "f1", "mlflow_run": "r1"}
    drawn = {"stage": "sample", "fingerprint": "f2", "mlflow_run": "r2"}
    for name, record in {"train-learn": learned, "sample": drawn}.items():
        write_json(tmp_path / ".work" / "runs" / NAME / f"{name}.json", record)
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("create table tags (run_uuid, key, value)")
        database.execute("create table metrics (run_uuid)")
    assert untold(tmp_path) == "MLflow was not told all of sample, train-learn"
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        told = [("r1", "fingerprint", "f1"), ("r2", "fingerprint", "f2")]
        database.executemany("insert into tags values (?, ?, ?)", told)
    assert untold(tmp_path) == "MLflow was not told all of train-learn"
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("insert into metrics values ('r1')")
    assert untold(tmp_path) == ""


def test_what_is_found_is_kept_beside_what_other_faults_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reliability, "ROOT", tmp_path)
    reliability.record({"two_users": {"trials": 1}}, 9.0)
    reliability.record({"kill_flow": {"trials": 10}}, 9.0)
    reliability.record({"two_users": {"trials": 3}}, 9.0)
    content = yaml.safe_load((tmp_path / "results" / "reliability.json").read_text())
    assert {name: each["trials"] for name, each in content["faults"].items()} == {
        "kill_flow": 10,
        "two_users": 3,
    }
    assert set(content["faults"]) < set(FAULTS)
    about = {"commit", "device_name", "cores"}  # of each, as they are not measured in one go
    assert all(about <= set(each) for each in content["faults"].values()) and not about & set(
        content
    )


@pytest.mark.fault
@pytest.mark.parametrize("name", FAULTS)
def test_nothing_is_lost(name: str, made: Callable[[str], Made]) -> None:
    if name == "disk_full" and os.geteuid():
        pytest.skip("only root may mount a file system in memory")
    found = reliability.measure(name, 1, *made(reliability.EVERY_STAGE.get(name, NAME)))
    assert found["wrong"] == []


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    """A project of an experiment, and what a run left alone makes of it."""
    folder = tmp_path_factory.mktemp("faults")
    return functools.cache(lambda name: reliability.template(folder, name))
