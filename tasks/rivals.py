"""Rivals of a classifier from few labels: the images, and what each kind of features sees."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import nn

from ebm.metrics.features import extract
from ebm.metrics.few_labels import Splits, scaling, standardise
from ebm.metrics.fine_tune import Images
from tasks.artefacts import load_arrays, read_json
from tasks.paths import Paths

REVISION = 1

BATCH = 500  # images shown to the network at once
OWN, RAW, SCALED = "features of the EBM", "raw pixels", "raw pixels, standardised"
SLOW = {"efficientnet": "features of EfficientNet-Lite0 (ImageNet)"}


class Rivals(NamedTuple):
    """What is compared, on the same images.

    Attributes:
        images: of the three splits.
        kinds: by kind, the features of these images.
        scaled: mean and scale of the EBM's features.
        network: that of the EBM.
    """

    images: Images
    kinds: dict[str, Splits]
    scaled: tuple[np.ndarray, np.ndarray]
    network: nn.Module


def gather(dataset: str, networks: Sequence[str], paths: Paths) -> tuple[Images, dict[str, Splits]]:
    """Return the images of a data set, and their features by pretrained networks.

    Where a reference has some training images alone, every rival is given those alone.

    Raises:
        ValueError: a reference does not cover the images.
    """
    data = paths.prepared(dataset)
    splits = [load_arrays(data / f"{split}.npz") for split in Images._fields]
    images, slow = Images(*((s["x"], s["y"]) for s in splits)), {}
    check_classes(dataset, images)
    for network in networks:
        images, slow[SLOW[network]] = referenced(dataset, network, images, paths)
    return images, slow


def referenced(dataset: str, network: str, images: Images, paths: Paths) -> tuple[Images, Splits]:
    """Return the images that a reference has the features of, and these features, standardised.

    Raises:
        ValueError: it is of other images, or of some validation or test images alone.
    """
    folder = paths.reference(dataset, network)
    found, manifest = load_arrays(folder / "features.npz"), read_json(folder / "manifest.json")
    for split, (x, _) in zip(Images._fields, images, strict=True):
        made, of = manifest["images"][split], manifest["of"][split]
        if of != len(x) or (split != "train" and made < of):
            raise ValueError(
                f"the reference of {dataset} by {network} has the features of {made} of {of} "
                f"{split} images, and there are {len(x)}; set its `images` to {len(x)} or more, "
                "and make it again"
            )
    x, y = (part[found["train_rows"]] for part in images.train)
    images = images._replace(train=(x, y))
    features = [found[split].astype(np.float64) for split in Images._fields]
    labels = [y for _, y in images]
    return images, standardise(Splits(*zip(features, labels, strict=True)))


def check_classes(dataset: str, images: Images) -> None:
    """Refuse, before any work, a held-out image of a class that no training image is of.

    Raises:
        ValueError: there is one.
    """
    known = np.unique(images.train[1])
    for split, (_, y) in zip(Images._fields[1:], images[1:], strict=True):
        strange = np.setdiff1d(y, known)
        if len(strange):
            raise ValueError(
                f"the {split} images of {dataset} have the label {strange[0]}, which no training "
                f"image has; theirs are {', '.join(map(str, known))}"
            )


def check_labels(key: str, labels: Sequence[int], y: np.ndarray) -> None:
    """Refuse, before any work, numbers of labels that cannot be drawn.

    Args:
        key: of the setting.
        labels: the numbers.
        y: (N,), the labels of the training images.

    Raises:
        ValueError: a number is too small or too large, or there are no two classes.
    """
    sizes = np.unique(y, return_counts=True)[1]
    kinds, fewest = len(sizes), int(sizes.min())
    if kinds < 2:
        raise ValueError(f"{key} is {list(labels)}; the data have one class, so leave classify out")
    wrong = [count for count in labels if not kinds <= count <= kinds * fewest]
    if wrong:
        raise ValueError(
            f"{key} has {wrong[0]}; with {kinds} classes, the rarest of {fewest} of the {len(y)} "
            f"training images, each number must lie in {kinds}..{kinds * fewest}"
        )


def compete(network: nn.Module, images: Images, slow: dict[str, Splits]) -> Rivals:
    """Return all kinds of features of the images: the EBM's, raw pixels, and those known."""
    own = Splits(*((features(network, x), y) for x, y in images))
    raw = Splits(*((flat(x), y) for x, y in images))
    kinds = {OWN: standardise(own), RAW: raw, SCALED: standardise(raw), **slow}
    return Rivals(images, kinds, scaling(own.train[0]), network)


def features(network: nn.Module, x: np.ndarray) -> np.ndarray:
    """Return a network's features of x: (N, C, H, W), as float64 (N, D)."""
    return extract(network, x, BATCH)  # type: ignore[arg-type]


def flat(x: np.ndarray) -> np.ndarray:
    """Return the pixels of x: (N, C, H, W), as float64 (N, C H W)."""
    return x.reshape(len(x), -1).astype(np.float64)
