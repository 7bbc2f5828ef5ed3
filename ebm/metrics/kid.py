"""KID, the kernel inception distance: an unbiased squared MMD of two sets of features.

    k(x, y) = (x . y / D + 1)^3
    KID = sum_{i != j} k(x_i, x_j) / (m (m - 1)) + sum_{i != j} k(y_i, y_j) / (m (m - 1))
          - 2 sum_{i, j} k(x_i, y_j) / m^2

Protocol: features of one named network, in float64; from either set m rows are drawn without
replacement, several times, and the mean over these subsets is reported. Its expectation is 0 for
two sets of one distribution, so small figures may be negative. The paper's name belongs to the
features of Inception: the figure is called `kid_FEATURES`.

Sample size: unbiased for any m of 2 or more, so sets of different sizes may be put side by side;
some hundred rows, or the figure is lost in its own scatter. m may not exceed a set's rows.

Source: Binkowski, Sutherland, Arbel, Gretton, arXiv:1801.01401.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ebm.metrics.distances import features

REVISION = 1


def kid(a: ArrayLike, b: ArrayLike, *, subsets: int, size: int, seed: int) -> NDArray[np.float64]:
    """Return the KID of each pair of subsets, (subsets,); their mean is the figure.

    Args:
        a: (N, D), one row of features an image.
        b: (M, D).
        subsets: pairs drawn.
        size: rows in a subset, 2 to the smaller of N and M.
        seed: of the draws.

    Raises:
        ValueError: a set has another shape or a value that is not finite, or subsets or size is
            out of range.

    >>> kid([[0.0], [1.0]], [[0.0], [1.0]], subsets=1, size=2, seed=0)
    array([-3.5])
    """
    x, y = features(a, "the first set", 2), features(b, "the second set", 2)
    if x.shape[1] != y.shape[1]:
        raise ValueError(
            f"the sets have {x.shape[1]} and {y.shape[1]} features; both must come from one network"
        )
    if subsets < 1 or not 2 <= size <= min(len(x), len(y)):
        raise ValueError(
            f"{subsets} subsets of {size} rows are asked for; there must be 1 subset at least, of "
            f"2 to {min(len(x), len(y))} rows, the size of the smaller set"
        )
    random = np.random.default_rng(seed)
    found = []
    for _ in range(subsets):
        rows = [random.choice(len(each), size, replace=False) for each in (x, y)]
        found.append(squared_mmd(x[rows[0]], y[rows[1]]))
    return np.array(found)


def squared_mmd(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return the unbiased estimate for two sets of equal size, (m, D) each."""
    m = len(x)
    within = [(kernel(each, each).sum() - own(each)) / (m * (m - 1)) for each in (x, y)]
    return float(sum(within) - 2 * kernel(x, y).mean())


def kernel(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return k(x_i, y_j), (N, M)."""
    return np.asarray((x @ y.T / x.shape[1] + 1) ** 3)


def own(x: NDArray[np.float64]) -> float:
    """Return the sum over i of k(x_i, x_i)."""
    return float(((np.square(x).sum(1) / x.shape[1] + 1) ** 3).sum())
