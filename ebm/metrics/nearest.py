"""Distance to the nearest training image: are samples copies?

    d(x) = min_i  |x - x_i| / sqrt(D)

the root mean square difference of a pixel. Samples that are copies have 0; new images of the same
kind have what test images have.

Protocol: pixels as they are, all training images; the median over the samples is reported.

Sample size: every training image counts, since d falls as their number grows; the median needs some
hundred samples.

Source: the check for memorised images of Goodfellow et al., arXiv:1406.2661; it finds copies of
pixels, not of shifted ones: Theis, van den Oord, Bethge, arXiv:1511.01844.
"""

import numpy as np
from numpy.typing import NDArray

REVISION = 1

ROWS = 2**22  # distances held at once, 32 MiB


def nearest_distances(x: NDArray[np.float32], training: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the distance of each image to the nearest training image, (N,), in pixel units.

    Args:
        x: (N, ...), images.
        training: (M, ...), of the same shape each.

    Raises:
        ValueError: there is no training image, or the shapes differ.
    """
    if not len(training) or x.shape[1:] != training.shape[1:]:
        raise ValueError(
            f"images of shape {x.shape[1:]} are compared with {len(training)} training images of "
            f"shape {training.shape[1:]}; the shapes must be equal, and there must be some"
        )
    images = x.reshape(len(x), -1).astype(np.float64)
    known = training.reshape(len(training), -1).astype(np.float64)
    norms = np.square(known).sum(1)
    step = max(1, ROWS // len(known))
    found = []
    for first in range(0, len(images), step):
        part = images[first : first + step]
        nearest = (norms - 2 * part @ known.T).argmin(1)
        found.append(np.square(part - known[nearest]).mean(1))  # a copy gives 0 exactly
    return np.sqrt(np.concatenate(found)) if found else np.zeros(0)


def nearest_rows(
    x: NDArray[np.float32], training: NDArray[np.float32], count: int
) -> NDArray[np.int64]:
    """Return the rows of the nearest training images of each image, nearest first, (N, count).

    Args:
        x: (N, ...), images.
        training: (M, ...), of the same shape each.
        count: nearest images wanted, 1 to M.

    Raises:
        ValueError: the shapes differ, or count is out of range.
    """
    if x.shape[1:] != training.shape[1:] or not 1 <= count <= len(training):
        raise ValueError(
            f"the {count} nearest of {len(training)} training images of shape "
            f"{training.shape[1:]} are asked for images of shape {x.shape[1:]}; the shapes must be "
            "equal, and there must be as many"
        )
    known = training.reshape(len(training), -1).astype(np.float64)
    found = []
    for image in x.reshape(len(x), -1).astype(np.float64):
        squared = np.square(known - image).sum(1)
        found.append(np.argsort(squared, kind="stable")[:count])
    return np.array(found, dtype=np.int64).reshape(len(x), count)
