"""What a loader returns, the same for every source."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

Tell = Callable[[int, int], None]


class Loaded(NamedTuple):
    """Images of one size with their labels.

    Attributes:
        images: (N, C, H, W) float32 in [-1, 1].
        labels: (N,) int64, classes counted from 0.
        test: rows of the official test part in their order, None where the source has none.
        notes: what else the manifest says of the data.
    """

    images: np.ndarray
    labels: np.ndarray
    test: np.ndarray | None = None
    notes: Mapping[str, Any] = {}


def silent(done: int, total: int) -> None:
    """Tell nobody how many files are read."""
