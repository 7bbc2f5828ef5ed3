"""evaluate: measure the samples with a classifier's features, beside what they must beat."""

from typing import Any, NamedTuple

import numpy as np
import torch

from ebm.metrics.classifier import FeatureNetwork, accuracy, embed, train_classifier
from ebm.metrics.frechet import frechet_distance
from ebm.metrics.inception_score import inception_score
from ebm.metrics.nearest import nearest_distances
from tasks.artefacts import load_arrays, read_json
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.scores import beside, row, write_scores
from tasks.settings import EvaluateInputs

REVISION = 1

Images = np.ndarray


class Figures(NamedTuple):
    """The three figures of one set of images."""

    frechet: float
    inception: float
    nearest: float


class About(NamedTuple):
    """What a reader is told of each figure."""

    frechet: str
    inception: str
    nearest: str


ABOUT = About(
    frechet="Frechet distance of features to those of the test images; floor: training images, "
    "ceiling: uniform noise.",
    inception="Inception score by the same network, in parts of the test set's size; floor: "
    "uniform noise, ceiling: the real test images.",
    nearest="Median root mean square difference of a pixel to the nearest training image; floor: "
    "copies, ceiling: the real test images; near the ceiling is right, beyond it is no better.",
)


class Judge:
    """Measures sets of images against the test images, with one feature network."""

    def __init__(self, network: FeatureNetwork, train: Images, test: Images) -> None:
        self.network, self.train, self.count = network, train, len(test)
        self.test = embed(network, torch.from_numpy(test))[0].numpy()

    def __call__(self, images: Images) -> Figures:
        """Measure images (N, C, H, W); the inception score by parts of the test set's size."""
        features, logits = embed(self.network, torch.from_numpy(images))
        splits = max(1, round(len(images) / self.count))
        return Figures(
            frechet_distance(features.numpy(), self.test),
            float(inception_score(logits.numpy(), splits).mean()),
            float(np.median(nearest_distances(images, self.train))),
        )


def run(name: str, part: None, inputs: EvaluateInputs, paths: Paths, monitor: Monitor) -> None:
    """Write results/NAME/metrics.json."""
    data = paths.prepared(inputs.dataset)
    train, test = load_arrays(data / "train.npz"), load_arrays(data / "test.npz")
    grids = finest(load_arrays(paths.samples(name) / "samples.npz"))
    draws, count = grids[0].shape[:2]
    check_counts(name, inputs, count, len(test["x"]))
    network = feature_network(inputs, train, read_json(data / "manifest.json")["classes"])
    right = accuracy(network, torch.from_numpy(test["x"]), torch.from_numpy(test["y"]))
    judge = Judge(network, train["x"], test["x"])
    sets = {"samples": list(grids[0]), **rivals(grids, train["x"], inputs.seed)}
    measured = measure(judge, sets, monitor)
    training = judge(train["x"][:: max(1, len(train["x"]) // count)][:count])
    features = f"{inputs.dataset}_cnn{inputs.evaluate.feature_width}"
    metrics, compared = rows(features, count, measured, training, judge(test["x"]))
    protocol = (
        f"Feature network: a CNN of {inputs.evaluate.feature_width} features trained on the "
        f"{len(train['x'])} training images and their labels, right on {100 * right:.1f} % of the "
        f"{len(test['x'])} test images. Values are means over {draws} draws of {count} images."
    )
    write_scores(paths.results(name) / "metrics.json", name, protocol, metrics, compared)


def measure(
    judge: Judge, sets: dict[str, list[Images]], monitor: Monitor
) -> dict[str, list[Figures]]:
    """Return the figures of every draw of every set."""
    measured: dict[str, list[Figures]] = {}
    for place, (of, draws) in enumerate(sets.items(), 1):
        measured[of] = [judge(images) for images in draws]
        monitor.progress(place, len(sets), of)
    return measured


def feature_network(
    inputs: EvaluateInputs, train: dict[str, np.ndarray], classes: int
) -> FeatureNetwork:
    """Train the feature network that the settings name."""
    settings = inputs.evaluate
    return train_classifier(
        torch.from_numpy(train["x"]),
        torch.from_numpy(train["y"]),
        classes=classes,
        width=settings.feature_width,
        epochs=settings.feature_epochs,
        batch=settings.feature_batch,
        rate=settings.feature_rate,
        seed=inputs.seed,
    )


def finest(samples: dict[str, np.ndarray]) -> list[Images]:
    """Return the grids' samples, (draws, count, C, s, s) each, the finest first."""
    return sorted(samples.values(), key=lambda grid: -grid.shape[-1])


def check_counts(name: str, inputs: EvaluateInputs, count: int, test: int) -> None:
    """Refuse too few images for the Frechet distance, naming the setting to change."""
    width = inputs.evaluate.feature_width
    for key, found in {
        f"experiments.{name}.sample.count": count,
        f"datasets.{inputs.dataset}.test": test,
    }.items():
        if found <= width:
            raise ValueError(
                f"{key} gave {found} images; the Frechet distance needs more than the {width} "
                f"features of experiments.{name}.evaluate.feature_width"
            )


def rivals(grids: list[Images], train: Images, seed: int) -> dict[str, list[Images]]:
    """Return what the samples are compared with, as many draws and images of each."""
    draws, count = grids[0].shape[:2]
    random = np.random.default_rng((seed, draws, count))
    normal = [gaussian(train, count, random) for _ in range(draws)]
    noise = [random.uniform(-1, 1, (count, *train.shape[1:])) for _ in range(draws)]
    others = {
        "Gaussian with the data's covariance": normal,
        "Gaussian with the data's covariance, clamped to [-1, 1]": [x.clip(-1, 1) for x in normal],
        "uniform noise": [x.astype(np.float32) for x in noise],
    }
    if len(grids) == 1:
        return others
    return {"coarser grid, upsampled": list(enlarge(grids[1], train.shape[-1])), **others}


def gaussian(train: Images, count: int, random: np.random.Generator) -> Images:
    """Draw from the Gaussian with the mean and covariance of train: (M, C, H, W).

    Centred data mixed with standard normal weights have their covariance, whatever its rank.
    """
    flat = train.reshape(len(train), -1).astype(np.float64)
    mean = flat.mean(0)
    weights = random.standard_normal((count, len(flat))) / np.sqrt(len(flat) - 1)
    return (mean + weights @ (flat - mean)).reshape(count, *train.shape[1:]).astype(np.float32)


def enlarge(images: Images, size: int) -> Images:
    """Return images (..., s, s) with each pixel repeated, (..., size, size)."""
    times = size // images.shape[-1]
    return images.repeat(times, -1).repeat(times, -2)


def rows(
    features: str,
    count: int,
    measured: dict[str, list[Figures]],
    train: Figures,
    test: Figures,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of metrics.json: the metrics, and what they are compared with.

    Args:
        features: the feature network's name, as in digits_cnn32.
        count: images in a draw.
        measured: the figures of each draw, of the samples and of their rivals.
        train: the figures of training images.
        test: those of the test images.
    """
    noise = Figures(*np.mean(measured["uniform noise"], axis=0).tolist())
    stated = [
        (f"frechet_{features}", train.frechet, noise.frechet, "lower", ABOUT.frechet),
        (f"inception_score_{features}", noise.inception, test.inception, "higher", ABOUT.inception),
        ("nearest_training", 0.0, test.nearest, "higher", ABOUT.nearest),
    ]
    metrics, compared = [], []
    for place, (metric, floor, ceiling, better, about) in enumerate(stated):
        values = {of: [figures[place] for figures in each] for of, each in measured.items()}
        metrics.append(
            row(
                metric,
                values.pop("samples"),
                floor=floor,
                ceiling=ceiling,
                better=better,
                samples=count,
                about=about,
            )
        )
        compared += [beside(metric, of, others) for of, others in values.items()]
    return metrics, [*compared, beside("nearest_training", "the real test images", test.nearest)]
