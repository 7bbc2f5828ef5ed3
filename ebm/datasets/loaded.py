"""What a loader returns, the same for every source."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

Tell = Callable[[int, int], None]


class Loaded(NamedTuple):
    """Images of one size, or points, with their labels.

    Attributes:
        images: (N, C, H, W) float32 in [-1, 1]; points are (N, D).
        labels: (N,) int64, classes counted from 0.
        test: rows of the official test part in their order, None where the source has none.
        notes: what else the manifest says of the data.
        bounds: the least and the greatest value there can be; of points, those there are.
    """

    images: np.ndarray
    labels: np.ndarray
    test: np.ndarray | None = None
    notes: Mapping[str, Any] = {}
    bounds: tuple[float, float] = (-1.0, 1.0)


def silent(done: int, total: int) -> None:
    """Tell nobody how many files are read."""
