import json
from pathlib import Path

import numpy as np
import pytest

from tasks import evaluate
from tasks.artefacts import save_arrays, write_json
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.settings import EvaluateInputs

INPUTS = {
    "dataset": "bars",
    "threads": 1,
    "seed": 3,
    "evaluate": {
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
    assert written["experiment"] == "trial" and "% of the 40 test images" in written["protocol"]
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
