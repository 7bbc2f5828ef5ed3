import json

import numpy as np
import pytest
import torch

from ebm.learn.multigrid import Multigrid
from ebm.model import save
from tasks import classify
from tasks.artefacts import save_arrays
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.settings import ClassifyInputs

INPUTS = {
    "dataset": "bars",
    "final": "last",
    "threads": 1,
    "seed": 3,
    "classify": {"labels": [6, 30], "draws": 3, "strengths": [0.01, 1.0]},
}
GRID = {"size": 8, "width": 4, "steps": 1, "step_size": 0.1, "noise": 0.1, "start_noise": 0.1}
REST = {"bounds": 1.1, "data_noise": 0.0, "rate": 0.001, "momentum": 0.5, "decay": 0.0}


def bars(count: int, seed: int) -> dict[str, np.ndarray]:
    """Noisy images of three kinds: the left, the middle or the right columns are bright."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, count)
    x = random.normal(-0.5, 0.4, (count, 1, 8, 8))
    for image, label in zip(x, y, strict=True):
        image[0, :, 3 * label : 3 * label + 2] += 0.7
    return {"x": x.clip(-1, 1).astype(np.float32), "y": y}


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """A project with three splits and a model that learned nothing."""
    paths = Paths(tmp_path_factory.mktemp("project"))
    data, model = paths.prepared("bars"), paths.model("trial", "last")
    data.mkdir(parents=True)
    model.mkdir(parents=True)
    for seed, (split, count) in enumerate({"train": 90, "validation": 40, "test": 50}.items()):
        save_arrays(data / f"{split}.npz", **bars(count, seed))
    torch.manual_seed(0)
    learner = Multigrid(Multigrid.Settings.model_validate({"channels": 1, "grids": [GRID | REST]}))
    save(model, "multigrid", learner, learner.networks)
    return paths


def run(paths: Paths, **changes: object) -> tuple[dict, bytes, Monitor]:
    settings = {**INPUTS, "classify": {**INPUTS["classify"], **changes}}
    monitor = Monitor(paths, "classify", "trial")
    classify.run("trial", None, ClassifyInputs.model_validate(settings), paths, monitor)
    results = paths.results("trial")
    picture = (results / "classify" / "few_labels.png").read_bytes()
    return json.loads((results / "classify.json").read_text()), picture, monitor


def test_errors_are_written_by_number_of_labels_beside_raw_pixels(paths: Paths) -> None:
    written, picture, monitor = run(paths)
    assert [row["metric"] for row in written["metrics"]] == ["error_6_labels", "error_30_labels"]
    compared = {(row["metric"], row["of"]): row["value"] for row in written["compared"]}
    assert compared["error_30_labels", "raw pixels"] < 20
    for row in written["metrics"]:
        assert (row["samples"], row["seeds"], row["better"]) == (50, 3, "lower")
        assert 0 <= row["floor"] <= row["ceiling"] <= 100 and row["spread"] >= 0
        assert row["value"] < row["ceiling"]
    assert picture.startswith(b"\x89PNG")
    path = paths.results("trial") / "classify" / "few_labels.png"
    assert monitor.notes["pictures"] == [str(path)]


def test_ceiling_is_the_error_of_guessing_the_commonest_class() -> None:
    train, test = np.array([2, 2, 0, 1]), np.array([2, 0, 1, 1, 1])
    assert classify.guess(train, test) == pytest.approx(80)


def test_same_inputs_give_the_same_bytes(paths: Paths) -> None:
    assert run(paths)[:2] == run(paths)[:2]


def test_more_labels_than_images_are_refused_and_results_stay(paths: Paths) -> None:
    written, picture, _ = run(paths)
    with pytest.raises(ValueError, match="5000 labels are asked for"):
        run(paths, labels=[5000])
    results = paths.results("trial")
    assert json.loads((results / "classify.json").read_text()) == written
    assert (results / "classify" / "few_labels.png").read_bytes() == picture
