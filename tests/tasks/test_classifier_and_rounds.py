"""The applications of a learner that classifies and of one in rounds, on tiny untrained models."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from ebm.learn import learner_class
from ebm.stored import save
from flows.expected import applied
from tasks import apply
from tasks.apply_settings import ApplySettings
from tasks.artefacts import save_arrays
from tasks.inputs import ApplyInputs
from tasks.monitor import Monitor
from tasks.paths import Paths

CLASSIFIER: dict[str, Any] = {
    **{"against": "validation", "other": "other", "attacked": 6, "norm": "linf"},
    **{"sizes": [0.25, 1.0], "steps": 4},
}
NETWORK = {"kind": "convnet", "size": 8, "channels": 1, "width": 4}
CHAIN = {"steps": 3, "sample_steps": 3, "step_size": 0.1, "noise": 0.0, "bounds": 1.0}
ADAM = {"kind": "adam", "rate": 0.001, "momentum": 0.9}
FRESH = {"noise": "gaussian", "scale": 0.3}
JOINT: dict[str, Any] = {
    "network": {**NETWORK, "classes": 3},
    "reference": None,
    "start": {"start": "noise", **FRESH},
    "sample_from": FRESH,
    "chain": CHAIN,
    "data_noise": 0.1,
    "decay": 0.0,
    "optimiser": ADAM,
    "label_weight": 1.0,
    "twin": True,
}
ROUND: dict[str, Any] = {
    **{
        "network": NETWORK,
        "start": FRESH,
        "negatives": 8,
        "refresh": 1,
        "stop": 1.0,
        "chain": CHAIN,
    },
    **{"data_noise": 0.1, "decay": 0.0, "optimiser": ADAM},
}


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Two data sets of three classes, and one of colours."""
    paths = Paths(tmp_path)
    for place, (name, channels) in enumerate({"own": 1, "other": 1, "colours": 3}.items()):
        paths.prepared(name).mkdir(parents=True)
        rng = np.random.default_rng(place)
        x = rng.uniform(-1, 1, (30, channels, 8, 8)).astype(np.float32)
        for split in ("train", "validation", "test"):
            save_arrays(paths.prepared(name) / f"{split}.npz", x=x, y=np.arange(30) % 3)
    return paths


def keep(paths: Paths, name: str, *stages: dict[str, Any]) -> Any:
    """Save an untrained model of so many stages."""
    paths.model("trial", "learn").mkdir(parents=True)
    torch.manual_seed(0)
    kind, learner = learner_class(name), None
    for settings in stages:
        learner = kind(kind.Settings.model_validate(settings), below=learner)
    save(paths.model("trial", "learn"), name, learner, learner.networks)
    return learner


def run(paths: Paths, asked: dict[str, Any]) -> dict[str, Any]:
    given = {"dataset": "own", "final": "learn", "threads": 1, "seed": 3, "apply": asked}
    inputs = ApplyInputs.model_validate(given)
    apply.run("trial", None, inputs, paths, Monitor(paths, "apply", "trial"))
    return json.loads((paths.results("trial") / "apply.json").read_text())


def test_classifier_is_measured_beside_its_twin_and_pictured(paths: Paths) -> None:
    learner = keep(paths, "joint_classifier", JOINT)
    asked = {"classifier": CLASSIFIER}
    written = run(paths, asked)
    assert [row["metric"] for row in written["metrics"]] == applied(asked)
    assert [row["metric"] for row in written["compared"]] == applied(asked)
    values = {row["metric"]: row["value"] for row in written["metrics"]}
    beside = {row["metric"]: row["value"] for row in written["compared"]}
    assert values == beside, "untrained twins are the same network"
    with np.load(paths.prepared("own") / "validation.npz") as held:
        told = learner.scores(torch.from_numpy(held["x"])).argmax(1).numpy() == held["y"]
    assert values["classifier_accuracy_validation"] == pytest.approx(told.mean())
    attacked = [values[f"classifier_accuracy_linf_{size}_validation"] for size in ("1", "0_25")]
    assert attacked == sorted(attacked)
    tested = run(paths, {"classifier": {**CLASSIFIER, "against": "test"}})
    assert "classifier_accuracy" in {row["metric"] for row in tested["metrics"]}
    assert "validation" not in json.dumps(tested)
    there = sorted(path.stem for path in (paths.results("trial") / "apply").iterdir())
    assert there == [f"classifier_{of}" for of in ("attacks", "changed", "density", "reliability")]


def test_grey_images_are_shown_to_a_model_of_colours_and_colours_to_no_grey_one(
    paths: Paths,
) -> None:
    grey = np.zeros((1, 1, 8, 8))
    assert apply.alike(paths, "own", "test", grey.repeat(3, 1), "classifier").shape[1] == 3
    with pytest.raises(ValueError, match=r"apply.classifier.other is colours, whose images are"):
        apply.alike(paths, "colours", "test", grey, "classifier")


def test_rounds_are_measured_and_pictured(paths: Paths) -> None:
    keep(paths, "introspective", ROUND, ROUND)
    asked = {"rounds": {"images": 5, "shown": 3}}
    written = run(paths, asked)
    assert [row["metric"] for row in written["metrics"]] == applied(asked)
    assert all(0 <= row["value"] <= 1 for row in written["metrics"])
    there = sorted(path.stem for path in (paths.results("trial") / "apply").iterdir())
    assert there == ["rounds", "rounds_accuracy"]


def test_sizes_that_do_not_grow_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"sizes is \[1.0, 0.5\]; they must be above 0"):
        ApplySettings.model_validate({"classifier": {**CLASSIFIER, "sizes": [1.0, 0.5]}})
