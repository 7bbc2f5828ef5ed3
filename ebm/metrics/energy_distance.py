"""The energy distance of two sets of points: no network, no bandwidth, nothing to choose.

    D^2(P, Q) = 2 E|a - b| - E|a - a'| - E|b - b'|

Source: Szekely and Rizzo, Journal of Statistical Planning and Inference 143, 2013.
"""

import torch
from torch import Tensor

REVISION = 1


def energy_distance(a: Tensor, b: Tensor) -> float:
    """Return the squared energy distance, 2 E|a - b| - E|a - a'| - E|b - b'|, in units of x.

    It is 0 for equal distributions. The means are over all pairs, equal items left out, so it is
    unbiased and may fall below 0.

    Args:
        a: (N, D), 2 or more.
        b: (M, D), 2 or more.
    """
    a, b = a.double(), b.double()
    within = [torch.cdist(x, x).sum() / (len(x) * (len(x) - 1)) for x in (a, b)]
    return float(2 * torch.cdist(a, b).mean() - within[0] - within[1])
