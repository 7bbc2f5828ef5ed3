"""The flow runs what changed, as DVC would, and leaves everything else as it was."""

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.experiment import Hooks, Outcome, Row, run_experiments
from flows.graph import Stage
from tasks.paths import Paths
from tasks.refusals import SettingsError
from tests.flows.conftest import GRID, JOINT, TRAIN, edit, outputs, set_param

UPDATES = f"experiments.{JOINT}.train.joint.fit.updates"


def run(*names: str, only: str = "train", **options: Any) -> dict[str, Row]:
    """Run stages and return what became of each."""
    return {row.address: row for row in run_experiments(names or [JOINT], only, **options).rows}


def states(rows: dict[str, Row]) -> dict[str, str]:
    """Return the states alone."""
    return {address: row.state for address, row in rows.items()}


def test_the_flow_and_dvc_repro_give_the_same_bytes(pipeline: Path, repro_template: Path) -> None:
    told: list[tuple[str, ...]] = []
    hooks = Hooks(
        start=lambda stage, flow_run: told.append(("start", stage.address, str(bool(flow_run)))),
        end=lambda stage, row: told.append(("end", stage.address, row.state)),
        after=lambda outcome: told.append(("after", str(outcome.ok))),
    )
    assert states(run(hooks=hooks)) == {TRAIN: "Ran"}
    assert outputs(pipeline)[TRAIN] == outputs(repro_template)[TRAIN]
    assert told == [("start", TRAIN, "True"), ("end", TRAIN, "Ran"), ("after", "True")]
    log = Paths().log("train", JOINT, "joint")
    assert log.exists()
    assert not [p for p in (Paths().work / "scratch").glob("*/*/*") if p.is_dir()]
    assert (Paths().work / "dvc.lock").read_text() == Path("dvc.lock").read_text()


def test_what_is_up_to_date_starts_no_flow(trained: Path) -> None:
    outcome = run_experiments([JOINT, GRID], "train")
    assert {row.state for row in outcome.rows} == {"UpToDate"}
    assert outcome.flow_run is None
    assert outcome.ok


def test_a_changed_grid_reruns_itself_and_those_after_never_those_before(trained: Path) -> None:
    before = outputs(trained)
    set_param(trained, f"experiments.{GRID}.train.grid-4.fit.updates", 13)
    assert states(run(JOINT, GRID)) == {
        TRAIN: "UpToDate",
        f"train@{GRID}-grid-2": "UpToDate",
        f"train@{GRID}-grid-4": "Ran",
        f"train@{GRID}-grid-8": "Ran",
    }
    after = outputs(trained)
    changed = {address for address in after if after[address] != before[address]}
    assert changed == {f"train@{GRID}-grid-4", f"train@{GRID}-grid-8"}


def test_a_changed_raw_file_reruns_what_hangs_on_it_and_nothing_else(pipeline: Path) -> None:
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["datasets"]["mine"] = {**content["datasets"]["digits"], "raw": "data/mine"}
    content["experiments"][GRID]["dataset"] = "mine"
    Path("params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    shutil.copytree("data/raw/digits", "data/mine")
    edit(
        Path("dvc.yaml"),
        lambda text: text.replace("stage: grid-2, dataset: digits", "stage: grid-2, dataset: mine"),
    )
    assert run(JOINT, GRID, only="prepare")["prepare@mine"].state == "Ran"
    raw = Path("data/mine/digits.csv.gz")
    lines = gzip.decompress(raw.read_bytes()).splitlines(keepends=True)
    raw.unlink()
    raw.write_bytes(gzip.compress(b"".join(lines[:-1])))
    rows = run(JOINT, GRID, only="prepare")
    assert states(rows) == {"prepare@digits": "UpToDate", "prepare@mine": "Ran"}
    assert rows["prepare@mine"].reason == "data/mine changed"


def test_settings_of_one_run_leave_params_yaml_and_come_back_from_the_cache(trained: Path) -> None:
    text, before = Path("params.yaml").read_bytes(), outputs(trained)
    record = Paths().record("train", JOINT, "joint")
    old = json.loads(record.read_text())
    assert states(run(changes={UPDATES: 14})) == {TRAIN: "Ran"}
    assert Path("params.yaml").read_bytes() == text
    assert outputs(trained)[TRAIN] != before[TRAIN]
    assert json.loads(record.read_text())["settings"]["train"]["fit"]["updates"] == 14
    assert json.loads((Paths().work / "overrides.json").read_text()) == {UPDATES: 14}
    rows = run()
    assert states(rows) == {TRAIN: "Restored"}
    assert rows[TRAIN].reason == f"setting `{UPDATES}`: 14 -> 12"
    assert outputs(trained) == before
    assert json.loads(record.read_text()) == old


def test_a_failed_stage_says_why_restores_its_outputs_and_stops_those_after(trained: Path) -> None:
    before, lock = snapshot(Path("models")), Path("dvc.lock").read_text()
    set_param(trained, f"experiments.{GRID}.train.grid-4.fit.updates", 13)
    set_param(trained, UPDATES, 13)
    edit(
        Path("tasks/train.py"),
        lambda text: text.replace(
            "    job = Job(name, part, inputs, paths, scratch, monitor)\n",
            "    job = Job(name, part, inputs, paths, scratch, monitor)\n"
            "    if part == 'grid-4': raise ValueError('no luck')\n",
        ),
    )
    outcome: list[Outcome] = []
    rows = run(JOINT, GRID, hooks=Hooks(after=outcome.append))
    assert states(rows) == {
        TRAIN: "Ran",
        f"train@{GRID}-grid-2": "UpToDate",
        f"train@{GRID}-grid-4": "Failed",
        f"train@{GRID}-grid-8": "Stopped",
    }
    assert rows[f"train@{GRID}-grid-4"].reason == f"train {GRID} grid-4: no luck"
    assert not outcome[0].ok
    after = snapshot(Path("models"))
    assert {p: v for p, v in after.items() if f"/{GRID}/" in p} == {
        p: v for p, v in before.items() if f"/{GRID}/" in p
    }
    assert f"train@{GRID}-grid-4" in lock


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder with its content."""
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_force_runs_what_is_up_to_date_to_the_same_bytes(trained: Path) -> None:
    before = outputs(trained)
    rows = run(force=True)
    assert rows[TRAIN][1::2] == ("Ran", "--force")
    assert outputs(trained) == before


def test_a_damaged_dvc_lock_is_restored_and_nothing_runs(trained: Path) -> None:
    assert set(states(run()).values()) == {"UpToDate"}
    text = Path("dvc.lock").read_text()
    Path("dvc.lock").write_text(text[: len(text) // 2 - 7] + "\n  x: [")
    said: list[str] = []
    assert set(states(run(JOINT, GRID, hooks=Hooks(say=said.append))).values()) == {"UpToDate"}
    assert "last good copy" in said[0]
    assert Path("dvc.lock").read_text() == text


def test_wrong_names_and_settings_are_refused_before_anything_is_held(pipeline: Path) -> None:
    with pytest.raises(SettingsError, match="no experiment 'multigrid-digts'; did you mean"):
        run("multigrid-digts")
    with pytest.raises(SettingsError, match="has no key .*did you mean"):
        run(changes={f"experiments.{JOINT}.sed": 1})
    with pytest.raises(SettingsError, match=r"updates is 0; .*greater than or equal to 1"):
        run(changes={UPDATES: 0})
    assert not (Paths().work / "flow.lock").exists()


def test_a_stage_is_called_as_its_files_are() -> None:
    assert Stage("a", "train", "x", "grid-4", (), (), (), "").label == "train-grid-4"
    assert Stage("a", "sample", "x", None, (), (), (), "").label == "sample"
