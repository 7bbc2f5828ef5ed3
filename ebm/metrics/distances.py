"""Squared Euclidean distances between two sets of features, a block of rows at a time."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

REVISION = 1

HELD = 2**23  # distances held at once, 64 MiB
ROUNDING = 1e-12  # of |x|^2 + |y|^2: what is below is the distance of equal rows

Array = NDArray[np.float64]


def blocks(x: Array, y: Array) -> Iterator[tuple[slice, Array]]:
    """Yield some rows of x: (N, D) and their squared distances to all of y: (M, D), (n, M).

    |x - y|^2 = |x|^2 + |y|^2 - 2 x . y; equal rows have 0 exactly. Both sets are moved by the mean
    of y, so that features far from 0 lose no digits.
    """
    centre = y.mean(0)
    x, y = x - centre, y - centre
    norms, step = np.square(y).sum(1), max(1, HELD // max(1, len(y)))
    for first in range(0, len(x), step):
        rows = slice(first, min(len(x), first + step))
        both = np.square(x[rows]).sum(1)[:, None] + norms
        squared = both - 2 * x[rows] @ y.T
        yield rows, np.where(squared < ROUNDING * both, 0.0, squared)


def features(values: object, what: str, fewest: int) -> Array:
    """Return a set of features as float64, (N, D).

    Raises:
        ValueError: another shape, fewer than `fewest` rows, or a value that is not finite.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 2 or len(x) < fewest:
        raise ValueError(
            f"{what} of features has shape {x.shape}; it must be (N, D), N at least {fewest}"
        )
    if not np.isfinite(x).all():
        raise ValueError(f"{what} of features holds a value that is not finite")
    return x
