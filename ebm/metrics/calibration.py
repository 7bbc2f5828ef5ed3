"""Expected calibration error: does a classifier err as often as it says it does?

    ECE = sum_b (n_b / N) | accuracy of bin b - mean confidence of bin b |

over bins of equal width of the confidence, max_c p(y = c | x). 0 is calibrated. Of N answers some
error is left even then, by chance: `floor` is what answers drawn by the stated probabilities show.

Protocol: 15 bins; the probabilities as they are, no temperature fitted to other data.

Sample size: the floor falls with the root of N and tells when it is enough.

Source: Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", arXiv:1706.04599.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

REVISION = 1

BINS = 15
DRAWS = 100  # of answers, for the floor

Array = NDArray[np.float64]


class Calibration(NamedTuple):
    """What a bin of the confidence holds, and the error over all bins.

    Attributes:
        error: the expected calibration error, in [0, 1].
        counts: (B,), answers of the bin.
        confidence: (B,), their mean confidence; NaN where there are none.
        accuracy: (B,), the share that is right; NaN where there are none.
    """

    error: float
    counts: NDArray[np.int64]
    confidence: Array
    accuracy: Array


def calibration(confidence: Array, right: NDArray[np.bool_], bins: int = BINS) -> Calibration:
    """Return how confidences, (N,) in [0, 1], agree with what was right, (N,).

    Raises:
        ValueError: there are none, their numbers differ, or a confidence is no probability.
    """
    confidence = np.asarray(confidence, dtype=np.float64)
    if confidence.ndim != 1 or confidence.shape != np.shape(right) or not len(confidence):
        raise ValueError(
            f"confidences are {confidence.shape} and answers {np.shape(right)}; give (N,) of each, "
            "N at least 1"
        )
    if not ((confidence >= 0) & (confidence <= 1 + 1e-6)).all():
        raise ValueError("a confidence is no probability; they must lie in 0..1")
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        stated = np.bincount(place, confidence, bins) / count
        accuracy = np.bincount(place, np.asarray(right, dtype=np.float64), bins) / count
    apart = np.where(count > 0, np.abs(stated - accuracy), 0)
    return Calibration(float((count * apart).sum() / len(confidence)), count, stated, accuracy)


def floor(confidence: Array, seed: int, bins: int = BINS) -> float:
    """Return the mean error of answers that are right as often as the confidences, (N,), say."""
    rng = np.random.default_rng(seed)
    draws = (rng.random(len(confidence)) < confidence for _ in range(DRAWS))
    return float(np.mean([calibration(confidence, right, bins).error for right in draws]))
