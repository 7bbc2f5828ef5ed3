"""How far the filter responses of two sets of pictures are apart: what FRAME is to match.

    textures   mean over filters k of 1/2 sum_b |H_k(b) - H'_k(b)|, histograms over positions
    objects    root mean square over filters and positions of m_k(x) - m'_k(x), m the mean of |r|

Responses are in units of their standard deviation over the data. Two sets of one law are apart,
too, by chance and as a texture varies: read a distance over that between two sets of the data.
Statistics that were fitted can be matched by a bad model; those of filters that were not fitted
cannot.

Source: Zhu, Wu, Mumford, "Filters, Random Fields and Maximum Entropy (FRAME)", IJCV 1998.
"""

from collections.abc import Callable

import torch
from torch import Tensor

REVISION = 1

BINS, SPAN = 40, 4.0  # of a histogram: from -4 to 4 deviations, what lies beyond in the last ones

AT_ONCE = 50  # pictures

Respond = Callable[[Tensor], Tensor]
"""Maps pictures (N, C, H, W) to responses (N, K, h, w)."""


@torch.no_grad()
def unit(x: Tensor, respond: Respond) -> Tensor:
    """Return the standard deviation of each response over x: (N, C, H, W), (K, 1, 1)."""
    return respond(x).transpose(0, 1).flatten(1).std(1).clamp(min=1e-12)[:, None, None]


@torch.no_grad()
def histograms(x: Tensor, respond: Respond, sd: Tensor) -> Tensor:
    """Return the share of the responses in each bin, (K, 40), of x: (N, C, H, W)."""
    r = (respond(x) / sd).transpose(0, 1).flatten(1)
    bins = ((r + SPAN) * (BINS / (2 * SPAN))).long().clamp(0, BINS - 1)
    counts = torch.zeros(len(r), BINS).scatter_add_(1, bins, torch.ones_like(r))
    return counts / r.shape[1]


@torch.no_grad()
def maps(x: Tensor, respond: Respond, sd: Tensor, weights: Tensor) -> Tensor:
    """Return mean absolute responses at each position, (R, K, h, w), of x: (N, C, H, W).

    Args:
        x: pictures.
        respond: the filters.
        sd: (K, 1, 1), the responses' unit.
        weights: (R, N), of each picture in each of R means.
    """
    parts = zip(x.split(AT_ONCE), weights.split(AT_ONCE, 1), strict=True)
    return torch.stack(
        [torch.tensordot(w, (respond(part) / sd).abs(), 1) for part, w in parts]
    ).sum(0)


def apart(one: Tensor, other: Tensor) -> float:
    """Return the distance of two sets' histograms, (K, 40), or maps, (K, h, w)."""
    if one.ndim == 2:
        return float((one - other).abs().sum(1).mean() / 2)
    return float((one - other).square().mean().sqrt())
