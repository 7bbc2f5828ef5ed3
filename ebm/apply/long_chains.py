"""Long chains: has f a steady state that looks like the data, or good images after K steps alone?

    (a)  samples as they are drawn, by sample_steps: K from noise for a short-run model
    (b)  100 K steps from noise
    (c)  100 K steps from data

Figures judge a set of states against test images, which have the noise that learning adds to its
images, with thresholds stated here:

    contrast    standard deviation of all pixels of all images
    variety     distance of a state to its nearest fellow, median; a set as large of test images
    saturated   share of the pixels with |x| of 0.99 and more
    distance    distance to the nearest training image, median: what noise fails, whatever its
                contrast. On the sets of docs/curves.md, noise with the data's own mean and
                deviation at each pixel has 1.7 times that of test images and more, samples of good
                models 0.8 to 1.35.

A distance is the root mean square difference of a pixel. In this order a set

    flees      half of the states or more are not finite, or have a pixel beyond 10
    saturates  contrast above 1.3 times the data's, a quarter of the pixels saturated or more
    collapses  contrast below 0.7 times, or variety below 0.5 times, the data's
    strays     contrast above 1.3 times, or distance above 1.5 times, the data's
    is steady  otherwise: it is like the data

and a model is

    diverging         its learning broke, or (a) flees
    converging        (b) and (c) are steady: f has a steady state that is like the data
    synthesising      (a) or (b) is steady, a longer chain is not: f makes such images and is no
                      density of them
    saturated         (a) saturates, and so never was like the data
    not synthesising  (a) strays or collapses: nothing like the data is ever made

Learning that broke leaves no model: `tasks.regimes` knows of it.

Source: Nijkamp, Hill, Han, Zhu, Wu, "On the Anatomy of MCMC-Based Maximum Likelihood Learning of
Energy-Based Models", arXiv:1903.12370.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

REVISION = 2

FAINT, LOUD = 0.7, 1.3  # limits of contrast, below and above
ALIKE, FAR = 0.5, 1.5  # limits of variety and of distance
EDGE, ENDS = 0.99, 0.25  # |x| from here on is saturated; the share of such pixels
GONE = 10.0  # |x| beyond it has left the data, which are in [-1, 1], for good

Images = NDArray[np.float32]
Array = NDArray[np.float64]

PHRASES = {
    "steady": "are like the data",
    "saturates": "saturate: pixels run to the ends of their range",
    "collapses": "collapse: they fade, or are all alike",
    "strays": "are unlike any data",
    "flees": "leave the range of the data for good",
}


class Look(NamedTuple):
    """Figures of a set of images.

    Attributes:
        contrast: standard deviation of all pixels.
        variety: median distance of an image to its nearest fellow.
        saturated: share of the pixels with |x| of 0.99 and more.
        distance: median distance of an image to the nearest training image.
        fled: share of the images that are not finite, or have a pixel beyond 10.
    """

    contrast: float
    variety: float
    saturated: float
    distance: float
    fled: float = 0.0


class Regime(NamedTuple):
    """What a model's long chains say of it, and the evidence in one sentence."""

    name: str
    evidence: str


def look(images: Images, training: Images, group: int) -> Look:
    """Return the figures of images (N, C, H, W), clamped to [-1, 1].

    Args:
        training: (M, C, H, W), the images that the model learned from.
        group: images among which the nearest fellow is sought, at most N: figures of variety
            compare for equal groups alone.
    """
    group = min(group, len(images))
    with np.errstate(invalid="ignore"):
        fled = ~(np.abs(images) <= GONE).reshape(len(images), -1).all(1)
    x = np.nan_to_num(images.astype(np.float64), nan=0.0).clip(-1, 1)
    groups = [x[i : i + group] for i in range(0, len(x) - group + 1, group)]
    return Look(
        contrast=float(x.std()),
        variety=float(np.median([nearest(part, part, fellows=True) for part in groups])),
        saturated=float((np.abs(x) >= EDGE).mean()),
        distance=float(np.median(nearest(x, training))),
        fled=float(fled.mean()),
    )


def nearest(x: NDArray[np.floating], others: NDArray[np.floating], fellows: bool = False) -> Array:
    """Return the distance of each of x: (N, ...) to the nearest of others: (M, ...), (N,).

    Args:
        fellows: others is x, and an image is not its own neighbour.
    """
    known = others.reshape(len(others), -1).astype(np.float64)
    flat = x.reshape(len(x), -1).astype(np.float64)
    squared = np.square(known).sum(1) - 2 * flat @ known.T  # less |x|^2, the same for all others
    if fellows:
        np.fill_diagonal(squared, np.inf)
    found: Array = np.sqrt(np.square(flat - known[squared.argmin(1)]).mean(1))  # a copy gives 0
    return found


def word(states: Look, data: Look) -> str:
    """Judge states against data: `steady`, `saturates`, `collapses`, `strays` or `flees`.

    >>> data = Look(0.5, 0.4, 0.1, 0.3)
    >>> word(Look(0.9, 0.4, 0.9, 0.6), data), word(Look(0.6, 0.9, 0.0, 0.9), data)
    ('saturates', 'strays')
    """
    contrast, variety, distance = (
        of / max(like, 1e-12)
        for of, like in zip(
            (states.contrast, states.variety, states.distance),
            (data.contrast, data.variety, data.distance),
            strict=True,
        )
    )
    if states.fled >= 0.5:
        return "flees"
    if contrast > LOUD and states.saturated >= ENDS:
        return "saturates"
    if contrast < FAINT or variety < ALIKE:
        return "collapses"
    return "strays" if contrast > LOUD or distance > FAR else "steady"


def regime(samples: str, from_noise: str, from_data: str) -> str:
    """Return the regime that the words for (a), (b) and (c) mean, as defined above.

    >>> regime("steady", "steady", "steady"), regime("steady", "saturates", "steady")
    ('converging', 'synthesising')
    """
    if samples == "flees":
        return "diverging"
    if from_noise == from_data == "steady":
        return "converging"
    if "steady" in (samples, from_noise):
        return "synthesising"
    return "saturated" if samples == "saturates" else "not synthesising"


def judge(steps: tuple[int, int], samples: str, from_noise: str, from_data: str) -> Regime:
    """Return the regime with what happens to the chains.

    Args:
        steps: of (a), and of (b) and (c).
        samples, from_noise, from_data: the words for (a), (b) and (c).
    """
    told = (
        f"samples, by {steps[0]} steps, {PHRASES[samples]}; chains of {steps[1]} steps from noise "
        f"{PHRASES[from_noise]}; chains of {steps[1]} steps from data {PHRASES[from_data]}"
    )
    return Regime(regime(samples, from_noise, from_data), told)
