"""Judges: each sees a set of images in its own way, and measures it by some metrics."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from ebm.metrics.classifier import FeatureNetwork, accuracy, embed
from ebm.metrics.features import SIDE, STANDARD, Inception, Pixels, extract
from ebm.metrics.fid import check_count, fid_moments
from ebm.metrics.frechet import between, frechet_distance
from ebm.metrics.inception_score import inception_score
from ebm.metrics.kid import kid
from ebm.metrics.nearest import nearest_distances
from ebm.metrics.one_nn import one_nn_accuracy
from ebm.metrics.precision_recall import precision, recall
from tasks.artefacts import load_arrays, read_json
from tasks.device import pick_device
from tasks.evaluate_settings import EvaluateSettings
from tasks.paths import Paths

REVISION = 1

SAMPLES, NOISE = "samples", "uniform noise"
TRAIN, TEST = "training images", "test images"
BATCH = 20  # images shown to a slow network at once
SLOW = 500  # times the seconds that a quick one takes for an image

Images = np.ndarray
Told = Callable[[int], None]
Bound = str | float  # a set whose figure it is, or the figure


class Measure(NamedTuple):
    """A metric of what a judge sees.

    Attributes:
        metric: its name.
        value: the figure of what was seen of a set.
        floor: the lowest figure to expect.
        ceiling: the highest.
        better: `lower` or `higher`.
        about: one sentence.
    """

    metric: str
    value: Callable[[Any], float]
    floor: Bound
    ceiling: Bound
    better: str
    about: str


class Judge(NamedTuple):
    """One way of seeing images.

    Attributes:
        see: what the measures take, of images (N, C, H, W); tells how many it has seen.
        measures: the metrics.
        about: a sentence of the protocol, or nothing.
        seen: sets of which the features are known already.
        cost: seconds an image, as a multiple of a quick network's.
    """

    see: Callable[[Images, Told], Any]
    measures: list[Measure]
    about: str = ""
    seen: dict[str, Any] = {}
    cost: int = 1


class Seen(NamedTuple):
    """Features (N, D) of a set of images, and logits (N, classes) where there are any."""

    features: np.ndarray
    logits: np.ndarray | None = None


@dataclass(frozen=True)
class Asked:
    """What is to be judged.

    Attributes:
        name: the experiment.
        dataset: its data set.
        settings: what is measured.
        count: samples in a draw.
        seed: of the subsets of KID.
    """

    name: str
    dataset: str
    settings: EvaluateSettings
    count: int
    seed: int


def cnn(
    asked: Asked, network: FeatureNetwork, train: dict[str, Images], test: dict[str, Images]
) -> Judge:
    """Return the judge with the classifier trained on the data's labels."""
    width, total = asked.settings.feature_width, len(test["x"])
    right = accuracy(network, torch.from_numpy(test["x"]), torch.from_numpy(test["y"]))

    def see(images: Images, told: Told) -> Seen:
        return Seen(*(part.numpy() for part in embed(network, torch.from_numpy(images))))

    def score(seen: Seen) -> float:
        splits = max(1, round(len(seen.features) / total))
        return float(inception_score(np.asarray(seen.logits), splits).mean())

    known, features = see(test["x"], silent), f"{asked.dataset}_cnn{width}"
    own = [
        Measure(
            f"frechet_{features}",
            lambda seen: frechet_distance(seen.features, known.features),
            TRAIN,
            NOISE,
            "lower",
            "Frechet distance of features to those of the test images; floor: training images, "
            "ceiling: uniform noise.",
        ),
        Measure(
            f"inception_score_{features}",
            score,
            NOISE,
            TEST,
            "higher",
            "Inception score by the same network, in parts of the test set's size; floor: "
            "uniform noise, ceiling: the real test images.",
        ),
    ]
    about = (
        f"Feature network: a CNN of {width} features trained on the {len(train['x'])} training "
        f"images and their labels, right on {100 * right:.1f} % of the {total} test images."
    )
    more = list(measures(asked, features, known.features))
    return Judge(see, [*own, *more], about, {TEST: known})


def nearest(train: Images, test: Images) -> Judge:
    """Return the judge that looks for copies of training images."""
    return Judge(
        lambda images, told: images,
        [
            Measure(
                "nearest_training",
                lambda images: float(np.median(nearest_distances(images, train))),
                0.0,
                TEST,
                "higher",
                "Median root mean square difference of a pixel to the nearest training image; "
                "floor: copies, ceiling: the real test images; near the ceiling is right, beyond "
                "it is no better.",
            )
        ],
        seen={TEST: test},
    )


def pixels(asked: Asked, test: Images) -> Judge:
    """Return the judge that sees averaged pixels."""

    def see(images: Images, told: Told) -> Seen:
        return Seen(extract(Pixels(), images, len(images)))

    known, name = see(test, silent), f"pixels{SIDE}"
    about = f"{name}: the pixels averaged to {SIDE}x{SIDE} are the features."
    return Judge(see, list(measures(asked, name, known.features)), about, {TEST: known})


def inception(asked: Asked, paths: Paths) -> Judge:
    """Return the judge with the network of FID, which made the data set's reference.

    Raises:
        ValueError: the reference is missing, was made by other weights, or is too small.
    """
    folder = paths.reference(asked.dataset, "inception")
    known, manifest = load_arrays(folder / "features.npz"), read_json(folder / "manifest.json")
    most = len(known["train"]) // (2 if asked.settings.fid == "train" else 1)
    count = min(asked.count, most)
    rows = np.arange(count) * len(known["train"]) // count
    train, test = known["train"][rows].astype(np.float64), known["test"].astype(np.float64)
    others = np.delete(known["train"], rows, 0) if asked.settings.fid == "train" else test
    own = [frechet(asked, manifest, train, others)] if asked.settings.fid else []
    network = Inception(
        paths.root / manifest["weights"], manifest["sha256"], pick_device(manifest["device"])
    )
    what = "the Inception of 2015-12-05" if manifest["sha256"] == STANDARD else "a network of yours"
    about = (
        f"{network.name}: {test.shape[1]} features of {what}, images unrounded and resized "
        f"bilinearly; weights of sha256 {manifest['sha256'][:12]}; {len(test)} test images."
    )
    return Judge(
        lambda images, told: Seen(extract(network, images, BATCH, told)),
        [*own, *measures(asked, network.name, test)],
        about,
        {TRAIN: Seen(train), TEST: Seen(test)},
        SLOW,
    )


def frechet(asked: Asked, manifest: dict[str, Any], train: Images, real: Images) -> Measure:
    """Return FID, or the Frechet distance by weights that are not the standard ones.

    Args:
        asked: what is to be judged.
        manifest: of the reference.
        train: (N, D), features of training images, which give the floor.
        real: (M, D), of the test images, or of other training images.

    Raises:
        ValueError: there are too few samples or real images.
    """
    part, suffix = ("training", "_train") if asked.settings.fid == "train" else ("test", "")
    check_count(asked.count, f"experiments.{asked.name}.sample.count, a draw of samples,")
    check_count(len(real), f"the {part} part of the reference of {asked.dataset}")
    check_count(len(train), f"the training part of the reference of {asked.dataset}, the floor,")
    standard, known = manifest["sha256"] == STANDARD, fid_moments(real, "the real images")
    title = "FID" if standard else "Frechet distance by other weights than FID's"
    return Measure(
        (f"fid_{asked.count}" if standard else f"frechet_{manifest['network']}") + suffix,
        lambda seen: between(fid_moments(seen.features, "a set"), known),
        TRAIN,
        NOISE,
        "lower",
        f"{title}, of {asked.count} samples to {len(real)} {part} images; floor: {len(train)} "
        f"{'other ' if part == 'training' else ''}training images, ceiling: uniform noise.",
    )


def measures(asked: Asked, features: str, test: np.ndarray) -> Iterator[Measure]:
    """Yield the metrics that the settings ask for of every network.

    Args:
        asked: the settings, and how many samples there are.
        features: the network's name.
        test: (N, D), the features of the test images.

    Raises:
        ValueError: there are too few images for a setting.
    """
    settings, equal = asked.settings, min(asked.count, len(test))
    key = f"experiments.{asked.name}.evaluate"
    if settings.kid:
        size, subsets = settings.kid.size, settings.kid.subsets
        check_enough(f"{key}.kid.size", size, equal)
        about = f"KID, the mean over {subsets} subsets of {size} samples and {size} test images"
        chosen = {"subsets": subsets, "size": size, "seed": asked.seed}
        yield Measure(
            f"kid_{features}",
            lambda seen: float(kid(seen.features, test, **chosen).mean()),
            TRAIN,
            NOISE,
            "lower",
            f"{about}; floor: training images, ceiling: uniform noise.",
        )
    if settings.precision_recall:
        k = settings.precision_recall.neighbours
        check_enough(f"{key}.precision_recall.neighbours", k + 1, equal)
        yield from shares(features, test[:equal], k)
    if settings.one_nn:
        yield Measure(
            f"one_nn_accuracy_{features}",
            lambda seen: one_nn_accuracy(*alike(seen.features, test)),
            TRAIN,
            NOISE,
            "lower",
            f"1-nearest-neighbour accuracy on {equal} samples and {equal} test images: 1/2 is "
            "right, less tells of copies; floor: training images, ceiling: uniform noise.",
        )


def shares(features: str, test: np.ndarray, k: int) -> Iterator[Measure]:
    """Yield precision and recall, by balls that reach to the k-th nearest image."""
    bounds: list[tuple[str, Any, str, Bound, str]] = [
        ("precision", precision, "samples within the reach of the test images", NOISE, NOISE),
        ("recall", recall, "test images within the reach of the samples", 0.0, "copies of one"),
    ]
    for metric, share, what, floor, said in bounds:
        yield Measure(
            f"{metric}_{features}",
            lambda seen, share=share: share(*alike(test, seen.features), k),  # type: ignore[misc]
            floor,
            TRAIN,
            "higher",
            f"Share of {what}, {len(test)} of each, k = {k}; floor: {said}, ceiling: training "
            "images.",
        )


def alike(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first rows of two sets, as many of each."""
    count = min(len(a), len(b))
    return a[:count], b[:count]


def check_enough(key: str, needed: int, there: int) -> None:
    """Refuse a setting that needs more images than there are."""
    if needed > there:
        raise ValueError(
            f"{key} needs {needed} images; a draw of samples or the test part has only {there}"
        )


def silent(done: int) -> None:
    """Tell nobody how many images were seen."""
