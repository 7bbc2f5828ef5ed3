"""Long chains: has f a steady state that looks like the data, or good images after K steps alone?

    (a)  K steps from noise      (b)  100 K steps from noise      (c)  100 K steps from data

A model that merely synthesises is good at (a), while (b) and (c) saturate: pixels run to the ends
of their range. One that converged is steady in all three.

Two figures judge a set of states against the data, with thresholds stated here:

    contrast   standard deviation of all pixels of all images over the data's
    variety    standard deviation of a pixel among images, mean over pixels, over the data's

collapses: contrast below 0.7 or variety below 0.5; saturates: contrast above 1.3; steady otherwise.
Noise of the data's contrast would pass: look at the pictures, too.

Source: Nijkamp, Hill, Han, Zhu, Wu, "On the Anatomy of MCMC-Based Maximum Likelihood Learning of
Energy-Based Models", arXiv:1903.12370.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

REVISION = 1

FAINT, LOUD, ALIKE = 0.7, 1.3, 0.5  # limits of contrast, below and above, and of variety
EDGE = 0.99  # |x| from here on is saturated

Images = NDArray[np.float32]


class Look(NamedTuple):
    """Figures of a set of images.

    Attributes:
        contrast: standard deviation of all pixels.
        variety: standard deviation of a pixel among images, mean over pixels.
        saturated: share of the pixels with |x| of 0.99 and more.
    """

    contrast: float
    variety: float
    saturated: float


def look(images: Images) -> Look:
    """Return the figures of images (N, C, H, W) in [-1, 1]."""
    x = images.astype(np.float64)
    return Look(float(x.std()), float(x.std(0).mean()), float((np.abs(x) >= EDGE).mean()))


def word(states: Look, data: Look) -> str:
    """Judge states against data: `steady`, `saturates` or `collapses`.

    >>> word(Look(0.9, 0.8, 0.9), Look(0.5, 0.4, 0.1)), word(Look(0.5, 0.1, 0), Look(0.5, 0.4, 0))
    ('saturates', 'collapses')
    """
    contrast, variety = states.contrast / data.contrast, states.variety / data.variety
    if not (np.isfinite(contrast) and contrast >= FAINT and variety >= ALIKE):
        return "collapses"
    return "saturates" if contrast > LOUD else "steady"


def verdict(short: str, from_noise: str, from_data: str) -> str:
    """Say what the words for (a), (b) and (c) mean together."""
    if short != "steady":
        return f"even K steps from noise are not like the data: the chain {short}"
    if from_noise == from_data == "steady":
        return "converging: long chains stay like the data, from noise and from data"
    bad = {from_noise, from_data} - {"steady"}
    return f"merely synthesising: K steps from noise are like the data, a long chain {min(bad)}"
