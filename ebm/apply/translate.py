"""One-sided translation: where a chain takes an image of another domain, and what it leaves of it.

    y_0 = x ~ p_source,    y' = y + (dt / 2) grad f(y) + noise,    K steps

Few steps and no noise change what tells the domains apart, and leave the content. Content is told
by edges: the length of the gradient of the grey image, as a vector of all pixels; two such maps
differ by 1 less their correlation, 0 to 2, so a change of light or contrast alone is none.

Source: Zhao, Xie, Li, "Learning energy-based generative models via coarse-to-fine expanding and
sampling", ICLR 2021; the distance of edge maps is ours.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

REVISION = 1

Images = NDArray[np.float32]  # (N, C, H, W) in [-1, 1]


class Kept(NamedTuple):
    """What translations keep of their sources.

    Attributes:
        own: distance of each one's edges to those of its own source, (N,).
        other: mean distance to those of the other sources, (N,).
        nearest: whether no other source is nearer than its own, (N,).
    """

    own: NDArray[np.float64]
    other: NDArray[np.float64]
    nearest: NDArray[np.bool_]


def edges(x: Images) -> NDArray[np.float64]:
    """Return the edge maps of x, (N, (H - 1) (W - 1)): lengths of differences to right and below.

    >>> edges(np.array([[[[0.0, 3.0], [4.0, 0.0]]]]))
    array([[5.]])
    """
    grey = x.astype(np.float64).mean(1)
    across, down = np.diff(grey, axis=2)[:, :-1], np.diff(grey, axis=1)[:, :, :-1]
    return np.hypot(across, down).reshape(len(x), -1)


def differences(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 less the correlation of each row of a: (N, D) with each of b: (M, D), (N, M).

    A row that is the same throughout has no edges to compare: it differs by 1 from all.
    """
    parts = []
    for rows in (a, b):
        centred = rows - rows.mean(1, keepdims=True)
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        parts.append(np.divide(centred, length, out=np.zeros_like(centred), where=length > 0))
    return np.asarray(1 - parts[0] @ parts[1].T)


def content(source: Images, ends: Images) -> Kept:
    """Compare the edges of translations with those of their own and of other sources.

    Args:
        source: (N, C, H, W), two or more.
        ends: their translations, in the same order.

    Raises:
        ValueError: there are fewer than two, or not as many of either.
    """
    if len(source) != len(ends) or len(source) < 2:
        raise ValueError(
            f"there are {len(source)} sources and {len(ends)} translations; give two or more of "
            "each, in pairs"
        )
    apart = differences(edges(ends), edges(source))
    own = apart.diagonal()
    other = (apart.sum(1) - own) / (len(source) - 1)
    return Kept(own, other, own <= apart.min(1))


def moved(source: Images, ends: Images) -> NDArray[np.float64]:
    """Return how far each pixel moved, root mean square over channels, (N, H, W)."""
    return np.asarray(np.sqrt(np.square(ends.astype(np.float64) - source).mean(1)))


def colours_matched(source: Images, train: Images, target: Images) -> Images:
    """Return sources with the target's colours: each channel shifted and scaled, as for all alike.

    What a translation without any learning does. The moments are those of the training images.

    Args:
        source: (N, C, H, W), to be changed.
        train: training images of the source's domain.
        target: training images of the target's.
    """
    mean, sd = (getattr(train, f)((0, 2, 3), keepdims=True) for f in ("mean", "std"))
    to, by = (getattr(target, f)((0, 2, 3), keepdims=True) for f in ("mean", "std"))
    return np.asarray(((source - mean) / sd * by + to).clip(-1, 1), np.float32)
