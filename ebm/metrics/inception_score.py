"""Inception score: are samples each clearly of one class, and all classes among them?

    IS = exp( mean_x KL( p(y|x) || p(y) ) ),    p(y) = mean_x p(y|x)

It lies between 1 (every image is told the same) and the number of classes C.

Protocol: logits of one named classifier; the rows are cut in their order into parts of equal size,
each is scored with its own p(y), and the mean over the parts is reported. A classifier other than
the paper's gives figures that are not comparable with the paper's.

Sample size: p(y) of a part of n rows makes the logarithm of the score too small by about
(C - 1) / (2 n), so parts of much more than C rows, and only parts of one size are put side by side.

Source: Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen, arXiv:1606.03498, section 4; what it
measures and what not: Barratt and Sharma, arXiv:1801.01973.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax, logsumexp

REVISION = 1


def inception_score(logits: ArrayLike, splits: int) -> NDArray[np.float64]:
    """Return the score of each part, (splits,), each in [1, C].

    Args:
        logits: (N, C), the classifier's logits of N images.
        splits: number of parts.

    Raises:
        ValueError: logits has another shape or a value that is not finite, or splits is not in
            1..N.

    >>> inception_score([[50.0, 0.0], [0.0, 50.0]], splits=1).round(6)
    array([2.])
    """
    x = np.asarray(logits, dtype=np.float64)
    if x.ndim != 2:
        raise ValueError(f"the logits have shape {x.shape}; it must be (N, C)")
    if not np.isfinite(x).all():
        raise ValueError("the logits hold a value that is not finite")
    if not 1 <= splits <= len(x):
        raise ValueError(f"splits is {splits}; it must be 1 to {len(x)}, the number of images")
    return np.array([score(part) for part in np.array_split(x, splits)])


def score(logits: NDArray[np.float64]) -> float:
    """Return the score of one part, from its logits (n, C)."""
    log_given = log_softmax(logits, axis=1)
    log_mean = logsumexp(log_given, axis=0) - np.log(len(logits))
    divergence = (np.exp(log_given) * (log_given - log_mean)).sum(1)
    return float(np.exp(divergence.mean()))
