"""Improved precision and recall: are samples like real images, and are all real images reached?

    M(A) = union over a in A of the ball round a that reaches to its k-th nearest other in A
    precision = share of the samples in M(real),    recall = share of the real in M(samples)

Precision falls with samples unlike any real image, recall with kinds of real images that are never
drawn; a model that copies a few images well has the first and not the second.

Protocol: features of one named network, in float64, Euclidean distances, k = 3 in the paper; the
edge of a ball belongs to it. Both sets have the same number of images. Samples that lie far out,
far from each other, have large balls: noise can reach every real image, so recall is read beside
precision only.

Sample size: the balls shrink as the sets grow, so only figures of equal counts are put side by
side; the paper has 50,000, and a share p of n images has a standard error of sqrt(p (1 - p) / n).

Source: Kynkaanniemi, Karras, Laine, Lehtinen, Aila, arXiv:1904.06991; the large balls: Naeem, Oh,
Uh, Choi, Yoo, arXiv:2002.09797.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ebm.metrics.distances import Array, blocks, features

REVISION = 1


def precision(real: ArrayLike, samples: ArrayLike, neighbours: int) -> float:
    """Return the precision of samples, in [0, 1].

    Args:
        real: (N, D), one row of features a real image.
        samples: (N, D).
        neighbours: k, 1 to N - 1.

    Raises:
        ValueError: the sets differ in shape, have too few rows or a value that is not finite, or
            neighbours is out of range.

    >>> precision([[0.0], [1.0], [5.0], [5.5]], [[0.5], [1.2], [8.0], [9.5]], neighbours=1)
    0.5
    """
    x, y = features(real, "the real set", 2), features(samples, "the set of samples", 2)
    if x.shape != y.shape or not 1 <= neighbours < len(x):
        raise ValueError(
            f"the sets have shapes {x.shape} and {y.shape} and neighbours is {neighbours}; the "
            f"shapes must be equal, and neighbours 1 to {len(x) - 1}"
        )
    return float(covered(y, x, radii(x, neighbours)).mean())


def recall(real: ArrayLike, samples: ArrayLike, neighbours: int) -> float:
    """Return the recall of samples, in [0, 1]; arguments and errors are those of `precision`."""
    return precision(samples, real, neighbours)


def radii(x: Array, neighbours: int) -> Array:
    """Return the squared distance of each row of x: (N, D) to its k-th nearest other, (N,)."""
    found = np.empty(len(x))
    for rows, squared in blocks(x, x):
        squared[np.arange(len(squared)), np.arange(len(x))[rows]] = -1  # itself comes first
        found[rows] = np.partition(squared, neighbours, axis=1)[:, neighbours]
    return found


def covered(x: Array, centres: Array, squared_radii: Array) -> NDArray[np.bool_]:
    """Tell which rows of x: (N, D) lie in a ball round one of the centres: (M, D)."""
    found = np.empty(len(x), dtype=bool)
    for rows, squared in blocks(x, centres):
        found[rows] = (squared <= squared_radii).any(1)
    return found
