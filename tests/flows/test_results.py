"""Rows of `ebm list` and `ebm results`."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows import results
from flows.expected import expected
from tasks.measured import checksums
from tasks.paths import Paths

ROOT = Path(__file__).parents[2]
NAME = "multigrid-digits-joint"
LABELS = ("train-joint", "sample", "evaluate", "classify", "apply")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Return a project with the real settings, and goals."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["experiments"][NAME]["goals"] = {"frechet": {"seed_figure": 3.5, "goal": "below 3"}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    return Paths(tmp_path)


def leave(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def leave_records(paths: Paths, device: str = "cpu", skip: str = "") -> None:
    for label in LABELS:
        stage, _, part = label.partition("-")
        if label != skip:
            record = {"stage": stage, "part": part or None, "seconds": 30, "device": device}
            leave(paths.record(stage, NAME, part or None), record)


def test_list_has_exactly_the_promised_keys(paths: Paths) -> None:
    rows = {row["name"]: row for row in results.list_rows(paths)}
    row = rows[NAME]
    assert list(row) == ["name", "systems", "data", "metrics", "device", "minutes"]
    assert row["systems"] == ["S10"]
    assert row["data"] == "digits"
    assert row["device"] == "cpu"
    assert row["minutes"] is None
    assert "frechet_digits_cnn32" in row["metrics"]
    assert "error_20_labels" in row["metrics"]


def test_list_names_the_metrics_that_were_measured(paths: Paths) -> None:
    leave(paths.results(NAME) / "metrics.json", {"metrics": [{"metric": "mine", "value": 1.0}]})
    rows = {row["name"]: row for row in results.list_rows(paths)}
    assert rows[NAME]["metrics"] == ["mine"]


def minutes(paths: Paths) -> float | None:
    """Return the minutes that the list tells of the experiment."""
    return {row["name"]: row for row in results.list_rows(paths)}[NAME]["minutes"]


def test_minutes_are_the_sum_of_the_last_measured_stages(paths: Paths) -> None:
    leave_records(paths)
    assert minutes(paths) == 2.5


def test_minutes_are_unknown_if_a_stage_never_ran_or_ran_on_another_device(paths: Paths) -> None:
    leave_records(paths, skip="train-joint")
    assert minutes(paths) is None
    leave_records(paths, device="gpu")
    assert minutes(paths) is None


def test_results_have_exactly_the_promised_keys(paths: Paths) -> None:
    row = {"metric": "frechet", "value": 1.5, "spread": 0.1, "floor": 0.5, "ceiling": 9.0}
    row |= {"better": "lower", "samples": 1000, "seeds": 3, "about": "a sentence"}
    leave(paths.results(NAME) / "metrics.json", {"metrics": [row]})
    leave(paths.results(NAME) / "classify.json", {"metrics": [{**row, "metric": "error"}]})
    first, second = results.result_rows(paths)
    assert tuple(first) == results.COLUMNS
    assert first["experiment"] == NAME
    assert first["system"] == "S10"
    assert (first["value"], first["spread"], first["samples"], first["seeds"]) == (
        1.5,
        0.1,
        1000,
        3,
    )
    assert (first["seed_figure"], first["goal"]) == (3.5, "below 3")
    assert (second["metric"], second["seed_figure"], second["goal"]) == ("error", None, None)
    assert second["commit"] is None


def test_figures_of_which_run_json_does_not_know_have_no_origin(paths: Paths) -> None:
    folder = paths.results(NAME)
    for file in ("metrics", "classify"):
        leave(folder / f"{file}.json", {"metrics": [{"metric": file, "value": 1.0}]})
    assert len(results.warnings(paths, [NAME])) == 1
    run = {"commit": "c0ffee", "device": "cpu", "seconds": 3.0, "command": "ebm run"}
    leave(folder / "run.json", run)
    assert results.warnings(paths, [NAME]) == []
    assert {row["commit"] for row in results.result_rows(paths)} == {"c0ffee"}
    leave(folder / "run.json", {**run, "figures": checksums(paths, NAME)})
    assert results.warnings(paths, [NAME]) == []
    leave(folder / "classify.json", {"metrics": [{"metric": "classify", "value": 2.0}]})
    first, second = results.result_rows(paths)
    assert {key: first[key] for key in run} == run
    assert {key: second[key] for key in run} == dict.fromkeys(run)
    assert results.warnings(paths, [NAME]) == [
        f"figures of {NAME} have no complete run behind them; run ebm run {NAME}"
    ]


def test_results_of_one_experiment_only(paths: Paths) -> None:
    leave(paths.results(NAME) / "metrics.json", {"metrics": [{"metric": "m", "value": 1.0}]})
    assert len(results.result_rows(paths, [NAME])) == 1
    assert results.result_rows(paths, ["multigrid-digits"]) == []
    with pytest.raises(ValueError, match=f"did you mean {NAME}"):
        results.result_rows(paths, ["multigrid-digits-join"])


def test_the_table_holds_every_column_in_order(paths: Paths) -> None:
    leave(paths.results(NAME) / "metrics.json", {"metrics": [{"metric": "m", "value": 1.0}]})
    table = results.frame(results.result_rows(paths))
    assert tuple(table.columns) == results.COLUMNS
    assert table["value"].tolist() == [1.0]
    assert tuple(results.frame([]).columns) == results.COLUMNS


def test_a_damaged_results_file_is_named(paths: Paths) -> None:
    place = paths.results(NAME) / "metrics.json"
    leave(place, {})
    place.write_text("{")
    with pytest.raises(ValueError, match=r"metrics\.json is not JSON"):
        results.result_rows(paths)


def test_a_wrong_settings_file_is_said(paths: Paths) -> None:
    paths.params.write_text("a: [")
    with pytest.raises(ValueError, match="not YAML"):
        results.list_rows(paths)


def test_metrics_that_the_settings_ask_for_are_expected_by_their_names() -> None:
    asked = {
        "networks": ["pixels", "inception"],
        "fid": "train",
        "precision_recall": {"neighbours": 3},
        "one_nn": True,
    }
    experiment = {"dataset": "faces", "sample": {"count": 3000}, "evaluate": asked}
    assert expected(experiment) == [
        "nearest_training",
        "fid_3000_train",
        *("precision_pixels8", "recall_pixels8", "one_nn_accuracy_pixels8"),
        *("precision_inception", "recall_inception", "one_nn_accuracy_inception"),
    ]


def test_metrics_of_molecules_are_expected_by_their_names() -> None:
    asked = {"against": "validation", "molecules": {"chemnet": 600}}
    experiment = {"dataset": "zinc250k", "sample": {"count": 9}, "evaluate": asked}
    names = expected(experiment)
    assert {"valid_validation", "fcd_600_validation", "nats_inferred_validation"} <= set(names)
    assert all(name.endswith("_validation") for name in names)


def test_masks_that_the_settings_give_are_expected_by_their_names() -> None:
    box = {"name": "mouth", "box": [0.5, 0.25, 0.25, 0.5]}
    asked = {"networks": ["pixels"]}
    experiment = {"dataset": "faces", "sample": {"count": 9}, "evaluate": asked}
    names = expected({**experiment, "apply": {"inpaint": {"masks": ["half", box]}}})
    assert names[1:] == [
        f"inpaint_{figure}_{mask}"
        for mask in ("half", "mouth")
        for figure in ("mse", "psnr", "spread")
    ]


def test_regime_is_told_where_long_chains_gave_one(paths: Paths) -> None:
    assert results.regimes(paths, [NAME]) == []
    told = {"name": "synthesising", "evidence": "long chains saturate"}
    leave(paths.results(NAME) / "apply.json", {"metrics": [], "regime": told})
    assert results.regimes(paths, [NAME]) == [f"{NAME}: synthesising; long chains saturate"]
