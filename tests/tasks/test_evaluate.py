import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from ebm.metrics.features import STANDARD
from tasks import evaluate, judges, reference
from tasks.artefacts import load_arrays, read_json, save_arrays, write_json
from tasks.evaluate_settings import EvaluateSettings, Reference
from tasks.inputs import EvaluateInputs
from tasks.monitor import Monitor
from tasks.paths import Paths

INPUTS = {
    "dataset": "bars",
    "threads": 1,
    "seed": 3,
    "evaluate": {
        "against": "test",
        "feature_epochs": 6,
        "feature_width": 4,
        "feature_batch": 16,
        "feature_rate": 0.01,
    },
}
Files = dict[str, np.ndarray]


def bars(count: int, seed: int) -> Files:
    """Noisy images of three kinds: the left, the middle or the right columns are bright."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, count)
    x = random.normal(-0.5, 0.2, (count, 1, 8, 8))
    for image, label in zip(x, y, strict=True):
        image[0, :, 3 * label : 3 * label + 2] += 1
    return {"x": x.clip(-1, 1).astype(np.float32), "y": y}


def coarse(images: np.ndarray) -> np.ndarray:
    return images.reshape(*images.shape[:-2], 4, 2, 4, 2).mean((-1, -3))


def project(root: Path, samples: np.ndarray) -> Paths:
    """A project whose model drew these samples, (draws, count, 1, 8, 8)."""
    paths = Paths(root)
    data, drawn = paths.prepared("bars"), paths.samples("trial")
    data.mkdir(parents=True)
    drawn.mkdir(parents=True)
    save_arrays(data / "train.npz", **bars(90, 0))
    save_arrays(data / "test.npz", **bars(40, 1))
    write_json(data / "manifest.json", {"classes": 3})
    save_arrays(drawn / "samples.npz", grid_4=coarse(samples), grid_8=samples)
    return paths


def run(paths: Paths, **changes: object) -> dict[str, dict]:
    inputs = EvaluateInputs.model_validate({**INPUTS, **changes})
    evaluate.run("trial", None, inputs, paths, Monitor(paths, "evaluate", "trial"))
    written = json.loads((paths.results("trial") / "metrics.json").read_text())
    assert written["experiment"] == "trial" and "Values are means" in written["protocol"]
    metrics = {row["metric"]: row for row in written["metrics"]}
    for row in written["compared"]:
        metrics[row["metric"]][row["of"]] = row["value"]
    return metrics


def test_samples_that_are_real_images_score_as_real_images_do(tmp_path: Path) -> None:
    real = np.stack([bars(50, 2)["x"], bars(50, 3)["x"]])
    metrics = run(project(tmp_path, real))
    frechet = metrics["frechet_bars_cnn4"]
    assert frechet["value"] < 0.2 * frechet["coarser grid, upsampled"] < frechet["ceiling"]
    assert frechet["value"] < 0.2 * frechet["Gaussian with the data's covariance"]
    assert frechet["ceiling"] == frechet["uniform noise"]
    score = metrics["inception_score_bars_cnn4"]
    assert 1 <= score["floor"] < 0.8 * score["value"] and score["ceiling"] <= 3
    assert score["value"] == pytest.approx(score["ceiling"], rel=0.1)
    nearest = metrics["nearest_training"]
    assert nearest["value"] == pytest.approx(nearest["the real test images"], rel=0.1)
    for row in metrics.values():
        assert (row["samples"], row["seeds"]) == (50, 2)


def test_copies_of_training_images_are_at_distance_zero(tmp_path: Path) -> None:
    copies = bars(90, 0)["x"][None, :30]
    nearest = run(project(tmp_path, copies))["nearest_training"]
    assert nearest["value"] == nearest["floor"] == 0 < nearest["ceiling"]
    assert nearest["spread"] is None  # of one draw there is none


def test_same_inputs_give_the_same_bytes_with_six_digits(tmp_path: Path) -> None:
    paths = project(tmp_path, bars(60, 2)["x"].reshape(2, 30, 1, 8, 8))
    run(paths)
    first = (paths.results("trial") / "metrics.json").read_bytes()
    run(paths)
    assert (paths.results("trial") / "metrics.json").read_bytes() == first
    for row in json.loads(first)["metrics"]:
        assert row["value"] == float(f"{row['value']:.6g}")


def test_validation_part_is_measured_alone_and_named_in_every_figure(tmp_path: Path) -> None:
    paths = project(tmp_path, bars(50, 2)["x"][None])
    save_arrays(paths.prepared("bars") / "validation.npz", **bars(40, 1))
    tested = run(paths)
    (paths.prepared("bars") / "test.npz").unlink()
    metrics = run(paths, evaluate={**INPUTS["evaluate"], "against": "validation"})
    assert list(metrics) == [f"{metric}_validation" for metric in tested]
    for metric, row in tested.items():
        assert metrics[f"{metric}_validation"]["value"] == row["value"]
    assert "test" not in (paths.results("trial") / "metrics.json").read_text()


MORE = {
    "kid": {"subsets": 5, "size": 20},
    "precision_recall": {"neighbours": 3},
    "one_nn": True,
}
KINDS = ("kid", "precision", "recall", "one_nn_accuracy")


def asking(**more: object) -> dict:
    return {"evaluate": {**INPUTS["evaluate"], **MORE, **more}}


def test_what_is_asked_for_comes_after_what_is_always_measured(tmp_path: Path) -> None:
    paths = project(tmp_path, np.stack([bars(40, 2)["x"], bars(40, 3)["x"]]))
    always = run(paths)
    metrics = run(paths, **asking(networks=["cnn", "pixels"]))
    added = [f"{kind}_{network}" for network in ("bars_cnn4", "pixels8") for kind in KINDS]
    assert list(always) == ["frechet_bars_cnn4", "inception_score_bars_cnn4", "nearest_training"]
    assert sorted(metrics) == sorted([*always, *added])
    assert {name: metrics[name] for name in always} == always


def test_real_images_as_samples_score_near_the_training_images(tmp_path: Path) -> None:
    paths = project(tmp_path, np.stack([bars(40, 2)["x"], bars(40, 3)["x"]]))
    metrics = run(paths, **asking(networks=["cnn", "pixels"]))
    for network in ("bars_cnn4", "pixels8"):
        kid, one_nn = metrics[f"kid_{network}"], metrics[f"one_nn_accuracy_{network}"]
        assert abs(kid["value"]) < 0.2 * kid["ceiling"] and abs(kid["floor"]) < 0.2 * kid["ceiling"]
        assert abs(one_nn["value"] - 0.5) < 0.2 < one_nn["ceiling"] - 0.5
        for kind in ("precision", "recall"):
            found = metrics[f"{kind}_{network}"]
            assert found["value"] > 0.6 < found["ceiling"] and found["floor"] < 0.3, kind
    assert metrics["kid_pixels8"]["coarser grid, upsampled"] > 0


def test_unlabelled_pictures_are_measured_without_a_classifier(tmp_path: Path) -> None:
    paths = project(tmp_path, bars(30, 2)["x"][None])
    inputs = EvaluateInputs.model_validate(
        {**INPUTS, "evaluate": {"against": "test", "networks": []}}
    )
    evaluate.run("trial", None, inputs, paths, Monitor(paths, "evaluate", "trial"))
    written = json.loads((paths.results("trial") / "metrics.json").read_text())
    assert [row["metric"] for row in written["metrics"]] == ["nearest_training"]


def test_picture_shows_each_sample_above_its_nearest_training_images(tmp_path: Path) -> None:
    train = bars(90, 0)["x"]
    samples = np.concatenate([bars(5, 2)["x"], train[40:41]])
    paths = project(tmp_path, samples[None])
    run(paths)
    pixels = np.asarray(Image.open(paths.results("trial") / "evaluate" / "nearest.png"))
    cell = pixels.shape[1] // 6
    assert pixels.shape[0] // cell == 1 + evaluate.BELOW
    copy, below = (pixels[2 + row * cell : row * cell + cell - 2, 2 : cell - 2] for row in (0, 1))
    assert (copy == below).all()  # the copy comes first
    assert (pixels[:cell, cell:] != pixels[cell : 2 * cell, cell:]).any()


# Inception, played by a network of one layer


def with_reference(paths: Paths, train: int, test: int, standard: bool = False) -> None:
    """Write the data set's reference by a scripted network of 4 features."""
    path = paths.root / "own.pt"
    torch.jit.script(Tiny()).save(str(path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    inputs = Reference(
        dataset="bars", network="inception", weights="own.pt", sha256=digest, images=train,
        device="cpu", threads=1,
    )  # fmt: skip
    reference.run("bars-own", None, inputs, paths, Monitor(paths, "reference", "bars-own"))
    assert read_json(paths.reference("bars", "inception") / "manifest.json")["images"] == {
        "train": train,
        "test": test,
    }


class Tiny(nn.Module):
    """Brightness of the four quarters."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(x[:, :1], 2).flatten(1)


def test_reference_holds_the_features_of_real_images_and_who_made_them(tmp_path: Path) -> None:
    paths = project(tmp_path, bars(30, 2)["x"][None])
    with_reference(paths, 50, 40)
    folder = paths.reference("bars", "inception")
    kept, manifest = load_arrays(folder / "features.npz"), read_json(folder / "manifest.json")
    assert kept["train"].shape == (50, 4) and kept["train"].dtype == np.float32
    rows = np.arange(50) * 90 // 50
    expected = bars(90, 0)["x"][rows].reshape(50, 2, 4, 2, 4).mean((2, 4)).reshape(50, 4)
    assert kept["train"] == pytest.approx((expected + 1) * 127.5 / 128 - 1, abs=0.02)
    assert manifest["weights"] == "own.pt" and len(manifest["sha256"]) == 64
    assert manifest["network"] == f"inception_{manifest['sha256'][:8]}"


def test_samples_are_measured_by_the_network_that_made_the_reference(tmp_path: Path) -> None:
    paths = project(tmp_path, np.stack([bars(40, 2)["x"], bars(40, 3)["x"]]))
    with_reference(paths, 60, 40)
    metrics = run(paths, **asking(networks=["cnn", "inception"]))
    digest = read_json(paths.reference("bars", "inception") / "manifest.json")["sha256"]
    own = {name: row for name, row in metrics.items() if "_inception_" in name}
    assert sorted(own) == sorted(f"{kind}_inception_{digest[:8]}" for kind in KINDS)
    for row in own.values():
        assert row["floor"] is not None and row["ceiling"] is not None
        assert "coarser grid, upsampled" not in row and "uniform noise" in row


def held_to(part: str, count: int) -> judges.Asked:
    settings = EvaluateSettings(against="test", networks=["inception"], fid=part)
    return judges.Asked("trial", "bars", settings, count, 0)


def test_fid_is_refused_below_2048_images_and_named_with_its_count(tmp_path: Path) -> None:
    paths = project(tmp_path, bars(40, 2)["x"][None])
    with_reference(paths, 60, 40)
    with pytest.raises(ValueError, match="experiments.trial.sample.count, .* has 40 images; FID"):
        run(paths, **asking(networks=["cnn", "inception"], fid="test"))
    asked, standard = held_to("test", 2048), {"sha256": STANDARD, "network": "inception"}
    real = np.random.default_rng(0).standard_normal((2048, 2048)).astype(np.float32)
    with pytest.raises(ValueError, match="test part of the reference of bars has 2047 images"):
        judges.frechet(asked, standard, real, real[1:])
    found = judges.frechet(asked, standard, real, real)
    assert found.metric == "fid_2048" and "2048 samples to 2048 test images" in found.about
    own = judges.frechet(asked, {"sha256": "0" * 64, "network": "inception_0"}, real, real)
    assert own.metric == "frechet_inception_0" and not own.about.startswith("FID")
    found = judges.frechet(held_to("train", 2048), standard, real, real)
    assert "2048 samples to 2048 training images; floor: 2048 other training" in found.about
    assert found.metric == "fid_2048_train"


def test_training_images_that_fid_is_held_to_are_none_of_those_of_the_floor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = project(tmp_path, bars(20, 2)["x"][None])
    with_reference(paths, 60, 40)
    told: list[np.ndarray] = []
    monkeypatch.setattr(judges, "frechet", lambda asked, known, *sets: told.extend(sets))
    kept = load_arrays(paths.reference("bars", "inception") / "features.npz")
    judges.inception(held_to("train", 20), paths)
    floor, real = told
    assert len(floor) == 20 and len(real) == 40
    both = np.concatenate([floor, real])
    assert sorted(map(tuple, both)) == sorted(map(tuple, kept["train"].astype(np.float64)))
    judges.inception(held_to("test", 20), paths)
    assert (told[3] == kept["test"]).all()
    judges.inception(held_to("train", 59), paths)
    assert len(told[4]) == len(told[5]) == 30, "the floor takes no more than half"


def test_weights_that_changed_since_the_reference_are_refused(tmp_path: Path) -> None:
    paths = project(tmp_path, bars(40, 2)["x"][None])
    with_reference(paths, 60, 40)
    (paths.root / "own.pt").write_bytes(b"another file")
    with pytest.raises(ValueError, match="own.pt has the sha256"):
        run(paths, **asking(networks=["cnn", "inception"]))
    assert not (paths.results("trial") / "metrics.json").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"kid": {"subsets": 2, "size": 41}}, r"trial.evaluate.kid.size needs 41 images; .* 40"),
        ({"precision_recall": {"neighbours": 40}}, r"precision_recall.neighbours needs 41"),
    ],
)
def test_settings_that_need_more_images_are_refused_by_name(
    tmp_path: Path, more: dict, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        run(project(tmp_path, bars(50, 2)["x"][None]), **asking(**more))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"networks": ["cnn"]}, "feature_epochs is missing; the network cnn needs it"),
        ({"networks": ["pixels"], "fid": "test"}, "fid needs the network inception"),
        ({"networks": [], "one_nn": True}, "networks is empty"),
        ({"networks": ["pixels", "pixels"]}, "may be named once"),
        ({"networks": ["inception"], "against": "validation"}, "references are of the test part"),
    ],
)
def test_settings_that_lack_something_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        EvaluateSettings.model_validate({"against": "test", **settings})


def test_settings_left_out_are_no_part_of_the_record() -> None:
    plain = EvaluateSettings.model_validate(INPUTS["evaluate"])
    assert plain.model_dump(mode="json") == INPUTS["evaluate"]


def test_progress_counts_every_image_that_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    monkeypatch.setattr(Monitor, "progress", lambda self, *step: told.append(step))
    paths = project(tmp_path, bars(30, 2)["x"][None])
    with_reference(paths, 50, 40)
    told.clear()
    run(paths, **asking(networks=["inception"]))
    done = [step[0] for step in told]
    assert done == sorted(done) and done[-1] == told[-1][1] == 30 * 5 + judges.SLOW * 30 * 2


def test_gaussian_has_the_mean_and_covariance_of_the_data() -> None:
    train = bars(40, 0)["x"]
    flat = train.reshape(40, -1)
    drawn = evaluate.gaussian(train, 40000, np.random.default_rng(0)).reshape(40000, -1)
    assert drawn.mean(0) == pytest.approx(flat.mean(0), abs=0.02)
    assert np.cov(drawn.T) == pytest.approx(np.cov(flat.T), abs=0.02)


def test_enlarging_repeats_pixels() -> None:
    small = np.arange(8.0).reshape(2, 1, 2, 2)
    large = evaluate.enlarge(small, 4)
    assert large.shape == (2, 1, 4, 4)
    assert (large[:, :, ::2, ::2] == small).all() and (large[:, :, 1::2, 1::2] == small).all()


def test_too_few_samples_are_refused_and_the_setting_named(tmp_path: Path) -> None:
    paths = project(tmp_path, bars(8, 2)["x"].reshape(2, 4, 1, 8, 8))
    with pytest.raises(ValueError, match=r"experiments.trial.sample.count gave 4 images"):
        run(paths)
    assert not (paths.results("trial") / "metrics.json").exists()
