import json

import numpy as np
import pytest
import torch

from ebm.checksum import sha256
from ebm.learn.multigrid import Multigrid
from ebm.metrics.efficientnet import bare
from ebm.metrics.few_labels import draw_labels
from ebm.metrics.fine_tune import FineTuned
from ebm.stored import save
from tasks import classify, reference
from tasks.artefacts import save_arrays
from tasks.evaluate_settings import Reference
from tasks.inputs import ClassifyInputs
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.rivals import check_labels, gather

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


TUNING = {"updates": 4, "batch": 6, "rates": [0.0001, 0.01], "decay": 0.01, "checks": 2}


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
    assert all(row["spread"] >= 0 for row in written["compared"])
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


def test_labels_that_cannot_be_drawn_are_refused_before_any_work_and_results_stay(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, picture, _ = run(paths)
    monkeypatch.setattr(classify, "load", lambda folder: pytest.fail("work was begun"))
    key = "experiments.trial.classify.labels has"
    with pytest.raises(ValueError, match=f"{key} 5000; with 3 classes, the rarest of 2") as caught:
        run(paths, labels=[6, 5000])
    most = int(str(caught.value).rpartition(".")[2])
    with pytest.raises(ValueError, match=f"{key} {most + 1}; "):
        run(paths, labels=[most, most + 1])
    with pytest.raises(ValueError, match=f"{key} 2; .* must lie in 3..{most}"):
        run(paths, labels=[2, 6])
    results = paths.results("trial")
    assert json.loads((results / "classify.json").read_text()) == written
    assert (results / "classify" / "few_labels.png").read_bytes() == picture


def test_held_out_image_of_an_unknown_class_is_refused_before_any_work(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classify, "load", lambda folder: pytest.fail("work was begun"))
    whole = bars(50, 2)
    try:
        save_arrays(
            paths.prepared("bars") / "test.npz", x=whole["x"], y=np.append(whole["y"][1:], 7)
        )
        says = "the test images of bars have the label 7, which no training image has; .* 0, 1, 2"
        with pytest.raises(ValueError, match=says):
            run(paths)
    finally:
        save_arrays(paths.prepared("bars") / "test.npz", **whole)


def test_most_labels_that_are_allowed_can_be_drawn() -> None:
    y = np.array([0] * 9 + [4] * 5 + [7] * 6)
    check_labels("labels", [3, 15], y)
    assert len(draw_labels(y, 15, 0)) == 15
    with pytest.raises(ValueError, match="labels has 16; .* 3..15"):
        check_labels("labels", [3, 16], y)
    with pytest.raises(ValueError, match="the data have one class, so leave classify out"):
        check_labels("labels", [3], np.zeros(5, int))


def test_fine_tuned_network_stands_beside_the_same_from_scratch(paths: Paths) -> None:
    plain, _, _ = run(paths)
    written, _, monitor = run(paths, fine_tune=TUNING)
    rows = {row["metric"]: row for row in written["metrics"]}
    others = {(row["metric"], row["of"]): row["value"] for row in written["compared"]}
    for count in (6, 30):
        assert rows[f"error_{count}_labels"] in plain["metrics"], "the rest is as it was"
        tuned = rows[f"error_{count}_labels_fine_tuned"]
        scratch = others[tuned["metric"], "same network from scratch"]
        margin = rows[f"margin_{count}_labels"]
        assert margin["value"] == pytest.approx(scratch - tuned["value"], abs=1e-3)
        assert (margin["better"], margin["seeds"], tuned["better"]) == ("higher", 3, "lower")
        assert f"fine-tuned on {count} labels" in margin["about"] and "rate" in tuned["about"]
    assert "from scratch" in written["protocol"] and "from scratch" not in plain["protocol"]
    told = json.loads(monitor.live.read_text())
    assert told["done"] == told["total"] == 2 * (3 + 2 * 3 * 2)


def test_margin_is_of_the_same_draws() -> None:
    tuned = FineTuned(np.array([0.1, 0.3]), 0.01, 5)
    scratch = FineTuned(np.array([0.2, 0.4]), 0.1, 7)
    error, margin = classify.tuned_rows(40, tuned, scratch, 90.0, 50)
    assert (margin["value"], margin["spread"]) == pytest.approx((10.0, 0.0))
    assert (error["value"], error["ceiling"]) == (20.0, 90.0)
    assert "rate 0.01, 5 updates; from scratch rate 0.1, 7 updates" in error["about"]


def test_fine_tuning_repeats_to_the_byte(paths: Paths) -> None:
    assert run(paths, fine_tune=TUNING)[:2] == run(paths, fine_tune=TUNING)[:2]


def with_reference(paths: Paths, **changes: int) -> None:
    """Write the features of a network with random weights."""
    torch.manual_seed(1)
    torch.save(bare().state_dict(), paths.root / "random.pth")
    inputs = Reference(
        **{"dataset": "bars", "network": "efficientnet", "weights": "random.pth"},
        **{"sha256": sha256(paths.root / "random.pth"), "device": "cpu", "threads": 1},
        **{"images": 90} | changes,
    )
    reference.run("bars-e", None, inputs, paths, Monitor(paths, "reference", "bars-e"))


def test_pretrained_features_are_one_more_rival_on_the_same_images(paths: Paths) -> None:
    with_reference(paths)
    written, _, _ = run(paths, networks=["efficientnet"])
    assert written["metrics"] == run(paths)[0]["metrics"]
    others = {row["of"]: row["value"] for row in written["compared"]}
    assert len(others) == 3 and 0 <= others["features of EfficientNet-Lite0 (ImageNet)"] <= 100


def test_labels_are_drawn_where_the_reference_has_features(paths: Paths) -> None:
    with_reference(paths, training=45)
    images, slow = gather("bars", ["efficientnet"], paths)
    whole, _ = gather("bars", [], paths)
    assert (images.train[0] == whole.train[0][::2]).all()
    assert (images.train[1] == whole.train[1][::2]).all() and len(images.test[1]) == 50
    features = slow["features of EfficientNet-Lite0 (ImageNet)"]
    assert [h.shape for h, _ in features] == [(45, 1280), (40, 1280), (50, 1280)]
    assert all((a == b).all() for (_, a), (_, b) in zip(features, images, strict=True))
    own = features.train[0].std(0)
    assert np.isclose(own, 1).sum() + (own == 0).sum() == 1280


def test_reference_without_some_test_images_is_refused(paths: Paths) -> None:
    with_reference(paths, images=45)
    words = "features of 45 of 50 test images.* set its `images` to 50 or more"
    with pytest.raises(ValueError, match=words):
        run(paths, networks=["efficientnet"])
