"""MNIST with one digit held out: what a model of the others is to find strange.

The pooled 70,000 images are split once, at random, into 80 % and 20 %. The digit is then left out
of the larger part, which is learned from. Two test parts circulate, and both are kept:

    A   the 20 %, all digits: the held-out digit is about a tenth of it
    B   the normal ones among the 20 %, and every image of the held-out digit: about a third

The test part holds A first, then the images that B has besides; `notes` says how many A has. As the
chance level is the prevalence, figures of A and B cannot be compared.

Source: the split of A is the one under which the published baselines are possible; B is that of
Kumar, Ozair, Goyal, Courville, Bengio, arXiv:1901.08508, and of those after it.
"""

from pathlib import Path

import numpy as np
from pydantic import Field

from ebm.datasets.idx import framed, read_part
from ebm.datasets.loaded import Loaded, Tell, silent
from ebm.datasets.source import Source
from ebm.settings import Settings

REVISION = 1

SOURCE = Source(
    title="MNIST database of handwritten digits",
    licence="CC BY-SA 3.0",
    credit="LeCun, Cortes and Burges, 1998, from NIST's special databases 1 and 3",
    files={},  # those of mnist, which is fetched
)

TEST = 0.2  # share of all images that are tested on


class Options(Settings):
    """The digit, and the split."""

    digit: int = Field(ge=0, le=9, description="held out: the anomaly")
    size: int = Field(ge=1, description="side; the border around the picture is -1, as its ground")
    seed: int = Field(ge=0, description="of the split")


def load(raw: Path, options: Options, tell: Tell = silent) -> Loaded:
    """Return the normal images to learn from, then the test images; labels are the digits.

    Raises:
        ValueError: a file is missing or damaged.
    """
    parts = [read_part(raw, part) for part in ("train", "t10k")]
    pixels, labels = (np.concatenate(each) for each in zip(*parts, strict=True))
    learned, a, more = split(labels, options.digit, options.seed)
    rows = np.concatenate([learned, a, more])
    notes = {"digit": options.digit, "split_a": len(a)}
    return Loaded(
        framed(pixels[rows], options.size),
        labels[rows].astype(np.int64),
        np.arange(len(learned), len(rows)),
        notes,
    )


def split(labels: np.ndarray, digit: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows learned from, those of test part A, and those that B has besides.

    Args:
        labels: (N,), digits.
        digit: held out.
        seed: of the permutation.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    tested = round(TEST * len(labels))
    a, rest = np.sort(order[:tested]), np.sort(order[tested:])
    strange = labels[rest] == digit
    return rest[~strange], a, rest[strange]
