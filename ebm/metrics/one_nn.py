"""Accuracy of the 1-nearest-neighbour test that two sets are of one distribution.

    accuracy = share of the images, of both sets, whose nearest other image is of their own set

1/2: the sets cannot be told apart. 1: samples and real images lie apart. Below 1/2: each sample
lies beside a real image, as copies of them do.

Protocol: leave-one-out on the union of two sets of equal size; features of one named network, in
float64, Euclidean distances. Where the nearest of both sets are equally far, the image counts 1/2.

Sample size: equal counts on both sides, or 1/2 is not the figure of equal sets; some hundred a
side, since a share p of 2 n images has a standard error of about sqrt(p (1 - p) / n).

Source: Lopez-Paz and Oquab, arXiv:1610.06545; its use for generated images: Xu, Huang, Yuan, Guo,
Sun, Wu, Weinberger, arXiv:1806.07755.
"""

import numpy as np
from numpy.typing import ArrayLike

from ebm.metrics.distances import Array, blocks, features

REVISION = 1


def one_nn_accuracy(a: ArrayLike, b: ArrayLike) -> float:
    """Return the leave-one-out accuracy, in [0, 1].

    Args:
        a: (N, D), one row of features an image, N at least 2.
        b: (N, D).

    Raises:
        ValueError: the sets differ in shape, have too few rows, or a value that is not finite.

    >>> one_nn_accuracy([[0.0], [1.0]], [[10.0], [11.5]])
    1.0
    """
    x, y = features(a, "the first set", 2), features(b, "the second set", 2)
    if x.shape != y.shape:
        raise ValueError(f"the sets have shapes {x.shape} and {y.shape}; they must be equal")
    right = [told(nearest(x, x, True), nearest(x, y)), told(nearest(y, y, True), nearest(y, x))]
    return float(np.mean(right))


def nearest(x: Array, others: Array, itself: bool = False) -> Array:
    """Return the squared distance of each row of x: (N, D) to the nearest of others: (M, D).

    Args:
        itself: others is x, and a row is not its own neighbour.
    """
    found = np.empty(len(x))
    for rows, squared in blocks(x, others):
        if itself:
            squared[np.arange(len(squared)), np.arange(len(x))[rows]] = np.inf
        found[rows] = squared.min(1)
    return found


def told(own: Array, other: Array) -> float:
    """Return the share of rows nearer to their own set; a tie counts half."""
    return float(np.mean((own < other) + 0.5 * (own == other)))
