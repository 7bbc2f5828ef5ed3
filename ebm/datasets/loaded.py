"""What a loader returns, the same for every source."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

Tell = Callable[[int, int], None]


class Loaded(NamedTuple):
    """Images of one size, points, or items of another kind, with their labels.

    Attributes:
        images: (N, C, H, W) float32 in [-1, 1]; points are (N, D).
        labels: (N,) int64, classes counted from 0.
        test: rows of the official test part in their order, None where the source has none.
        notes: what else the manifest says of the data.
        bounds: the least and the greatest value there can be; of points, those there are.
        validation: rows of the official validation part, None where it is drawn.
    """

    images: np.ndarray
    labels: np.ndarray
    test: np.ndarray | None = None
    notes: Mapping[str, Any] = {}
    bounds: tuple[float, float] = (-1.0, 1.0)
    validation: np.ndarray | None = None


def checked_labels(labels: np.ndarray, classes: int, where: object) -> np.ndarray:
    """Return labels (N,), whole numbers in 0..classes - 1.

    Args:
        labels: as a file has them.
        classes: how many there are.
        where: the file, for the error.

    Raises:
        ValueError: they are something else.
    """
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{where} has labels of shape {labels.shape}, {labels.dtype}; they must be whole "
            "numbers, (N,)"
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        raise ValueError(
            f"{where} gives item {wrong[0]} the label {labels[wrong[0]]}; with {classes} classes "
            f"it must lie in 0..{classes - 1}"
        )
    return labels


def why(error: Exception) -> str:
    r"""Return what a library says of a file, in a line: some print half of the file.

    >>> why(ValueError("first\n  " + 300 * "x"))[-8:]
    'xxxxx...'
    """
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]}..."


def silent(done: int, total: int) -> None:
    """Tell nobody how many files are read."""
