"""FID, the Frechet inception distance: the Frechet distance in one network's features.

    FID(A, B) = |m_A - m_B|^2 + tr(S_A + S_B - 2 (S_A S_B)^(1/2))

m and S are mean and covariance, with 1/(n - 1), of the 2,048 features of the Inception network of
2015-12-05; the computation is that of frechet.py, in float64.

Protocol: features by `Inception` of features.py, from the standard weights; any other network or
weights give a `frechet_FEATURES`. Which images stand on the other side, test or training, is
said beside the figure.

Sample size: 2,048 images or more on either side, or a covariance of 2,048 features is not of full
rank and the number means nothing. It falls as the sets grow: the number of samples is part of the
figure's name, as in `fid_10000`, and only figures of equal counts are put side by side. KID has no
such bias.

Source: Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter, arXiv:1706.08500; its bias: Chong and
Forsyth, arXiv:1911.07023.
"""

import numpy as np
from numpy.typing import ArrayLike

from ebm.metrics.frechet import Moments, between, moments

REVISION = 1

FEATURES = 2048
FEWEST = 2048  # images on either side


def fid(a: ArrayLike, b: ArrayLike) -> float:
    """Return the FID of two sets, from their Inception features: (N, 2048) and (M, 2048).

    Raises:
        ValueError: a set has fewer than 2,048 images, other features, or a value that is not
            finite.
    """
    return between(fid_moments(a, "the first set"), fid_moments(b, "the second set"))


def fid_moments(features: ArrayLike, what: str) -> Moments:
    """Return mean and root of the covariance of a set's features, (N, 2048).

    Args:
        features: of one set of images.
        what: the set, as the error calls it.

    Raises:
        ValueError: as `fid` does.
    """
    x = np.asarray(features, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] != FEATURES:
        raise ValueError(f"{what} of features has shape {x.shape}; for FID it must be (N, 2048)")
    check_count(len(x), what)
    if not np.isfinite(x).all():
        raise ValueError(f"{what} of features holds a value that is not finite")
    return moments(x)


def check_count(count: int, what: str) -> None:
    """Refuse a set that is too small for FID, calling it `what`."""
    if count < FEWEST:
        raise ValueError(
            f"{what} has {count} images; FID needs 2,048 or more on either side: its covariance "
            "of 2,048 features is not of full rank otherwise (KID can do with fewer)"
        )
