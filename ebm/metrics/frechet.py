"""Frechet distance between two sets of features.

    d(A, B) = |m_A - m_B|^2 + tr(S_A + S_B - 2 (S_A S_B)^(1/2))

m and S are a set's mean and covariance, with 1/(n - 1). It is the squared 2-Wasserstein distance
of the two Gaussians that have these moments.

Protocol: features of one network for both sets, in float64. With R the triangular factor of the
centred rows, S = R^T R, and tr (S_A S_B)^(1/2) is the sum of the singular values of R_A R_B^T: no
root of a matrix is taken, so a singular covariance does no harm.

Sample size: more rows than features in each set, or the covariance is not of full rank. The value
falls as sets grow, so only values from equal counts are put side by side.

Source: Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter, arXiv:1706.08500; the formula is Dowson
and Landau's, 1982. The name `fid` belongs to that paper's network alone: with other features this
is `frechet_FEATURES`.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

REVISION = 1

Moments = tuple[NDArray[np.float64], NDArray[np.float64]]  # mean (D,), root (D, D)


def frechet_distance(a: ArrayLike, b: ArrayLike) -> float:
    """Return the Frechet distance of two sets of features, in squared units of the features.

    Args:
        a: (N, D), one row of features an item, N > D.
        b: (M, D), M > D.

    Raises:
        ValueError: a set has too few rows, another shape, or a value that is not finite.

    >>> frechet_distance([[0.0], [2.0]], [[3.0], [5.0]])
    9.0
    """
    first, second = checked(a, "the first set"), checked(b, "the second set")
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"the sets have {first.shape[1]} and {second.shape[1]} features; "
            "both must come from one network"
        )
    return between(moments(first), moments(second))


def between(a: Moments, b: Moments) -> float:
    """Return the Frechet distance of two sets, from their `moments`."""
    (mean_a, root_a), (mean_b, root_b) = a, b
    shift = np.square(mean_a - mean_b).sum()
    shared = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    distance = shift + np.square(root_a).sum() + np.square(root_b).sum() - 2 * shared
    return max(0.0, float(distance))  # rounding alone can take it below 0


def moments(x: NDArray[np.float64]) -> Moments:
    """Return the mean, (D,), and R, (D, D), with R^T R the covariance of x: (N, D)."""
    mean = x.mean(0)
    return mean, np.asarray(np.linalg.qr((x - mean) / np.sqrt(len(x) - 1), mode="r"))


def checked(features: ArrayLike, what: str) -> NDArray[np.float64]:
    """Return features as float64, (N, D), refusing what has no moments of full rank."""
    x = np.asarray(features, dtype=np.float64)
    if x.ndim != 2:
        raise ValueError(f"{what} of features has shape {x.shape}; it must be (N, D)")
    if len(x) <= x.shape[1]:
        raise ValueError(
            f"{what} has {len(x)} rows of {x.shape[1]} features; "
            "the Frechet distance needs more rows than features"
        )
    if not np.isfinite(x).all():
        raise ValueError(f"{what} of features holds a value that is not finite")
    return x
