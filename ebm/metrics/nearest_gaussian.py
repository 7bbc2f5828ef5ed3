"""The Gaussian nearest to a density in the plane, by each direction of KL.

    covering:  argmin_q KL(p, q)    the Gaussian with p's mean and covariance, in closed form
    focusing:  argmin_q KL(q, p)    by descent from several starts, the best of them

Too small a family must choose what it misses. KL(p, q), which maximum likelihood descends, forbids
q to be small where p has mass: q spreads over all of p, and over what lies between. KL(q, p)
forbids q to have mass where p has none: q settles on one part of p, and misses the others.

Source: Bishop, "Pattern Recognition and Machine Learning", 2006, section 10.1.2.
"""

import torch
from torch import Tensor

from ebm.metrics.quadrature import Grid, normalised

REVISION = 1

STEPS, RATE = 300, 0.05  # of Adam; the loss then changes by less than 1e-4 nats a step


def covering(log_p: Tensor, where: Grid) -> Tensor:
    """Return the Gaussian nearest in KL(p, .): that of p's moments.

    Args:
        log_p: (count^2,), normalised.
        where: the grid.

    Returns:
        Its log density on the grid, (count^2,), normalised there.
    """
    mass, x = (log_p + where.log_cell).exp(), where.points.double()
    centred = x - mass @ x
    covariance = (mass[:, None] * centred).T @ centred
    squares = (centred * torch.linalg.solve(covariance, centred.T).T).sum(1)
    return normalised(-squares / 2, where)


def focusing(log_p: Tensor, where: Grid, starts: Tensor, sd: float) -> Tensor:
    """Return the Gaussian found nearest in KL(., p), which may have many minima.

    Args:
        log_p: (count^2,), normalised.
        where: the grid.
        starts: (S, 2), the means that the descents start from.
        sd: the standard deviation that they start with, in the units of x.

    Returns:
        The log density on the grid, (count^2,), normalised there, of the best of the S.
    """
    x = where.points.double()
    means = starts.double().clone().requires_grad_(True)
    factors = torch.zeros(len(starts), 3, dtype=torch.float64)
    factors[:, :2] -= torch.tensor(sd, dtype=torch.float64).log()
    factors.requires_grad_(True)
    adam = torch.optim.Adam([means, factors], lr=RATE)
    for _ in range(STEPS):
        adam.zero_grad()
        backward_kl(log_gaussians(x, means, factors), log_p, where).sum().backward()
        adam.step()
    with torch.no_grad():
        found = log_gaussians(x, means, factors)
        best = backward_kl(found, log_p, where).argmin()
    return normalised(found[best], where)


def log_gaussians(x: Tensor, means: Tensor, factors: Tensor) -> Tensor:
    """Return the log densities, (S, N), of S Gaussians at x: (N, 2), without their constants.

    Args:
        x: points.
        means: (S, 2).
        factors: (S, 3): logarithms of the diagonal of a lower triangle L, and what is below it;
            L^T L is the inverse of the covariance.
    """
    a, b = (x[:, 0] - means[:, :1], x[:, 1] - means[:, 1:])
    first, second = factors[:, 0, None].exp() * a, factors[:, 1, None].exp() * b
    return -(first.square() + (second + factors[:, 2, None] * a).square()) / 2


def backward_kl(f: Tensor, log_p: Tensor, where: Grid) -> Tensor:
    """Return KL(q, p) in nats, (S,), of S densities q on the grid, exp(f) each, f: (S, count^2)."""
    log_q = f - (torch.logsumexp(f, 1, keepdim=True) + where.log_cell)
    return ((log_q + where.log_cell).exp() * (log_q - log_p)).sum(1)
