"""log Z and both KL divergences of two-dimensional densities, by quadrature on a grid.

    log Z         = log sum_i exp(f(x_i)) + log cell
    KL(p, q)      = sum_i p(x_i) (log p(x_i) - log q(x_i)) cell

x_i are the middles of the cells of a box. KL(data, model) is what maximum likelihood descends: it
punishes a model that misses a part of the data, so the model covers. KL(model, data) punishes a
model that has mass where there are no data: it focuses. The sums hold where the box holds the mass
and a cell is smaller than any structure: `judge` refuses a box that loses data, and reports what a
model keeps at its rim.

Sums are in float64 and in logarithms. Source: the midpoint rule; Gutmann and Hyvarinen, AISTATS
2010 (log Z as a thing to be checked).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ebm.energy import LogDensity

REVISION = 1

BATCH = 16384  # points evaluated at once
LOST = 1e-3  # mass of the data outside the box, or counted twice, that is refused
RIM = 0.05  # share of the half side that counts as the rim


class Grid(NamedTuple):
    """The middles of count x count cells of the box [-half, half]^2.

    Attributes:
        points: (count^2, 2) float32; reshaped to (count, count), rows are y and columns x.
        log_cell: log of a cell's area.
        half: half the side of the box, in the units of x.
        side: cells along a side.
    """

    points: Tensor
    log_cell: float
    half: float
    side: int


def grid(half: float, count: int) -> Grid:
    """Return the grid over [-half, half]^2.

    Raises:
        ValueError: half is not positive, or there are fewer than 2 cells a side.
    """
    if half <= 0 or count < 2:
        raise ValueError(f"half is {half} and count {count}; give a positive half and 2 or more")
    middles = (2 * (torch.arange(count, dtype=torch.float64) + 0.5) / count - 1) * half
    y, x = torch.meshgrid(middles, middles, indexing="ij")
    area = torch.tensor((2 * half / count) ** 2, dtype=torch.float64)
    return Grid(torch.stack([x, y], -1).reshape(-1, 2).float(), float(area.log()), half, count)


def values(log_density: LogDensity, where: Grid) -> Tensor:
    """Return log_density on the grid, (count^2,) float64 on the CPU.

    Raises:
        ValueError: a value is NaN or plus infinity.
    """
    with torch.no_grad():
        found = torch.cat([log_density(x).double().cpu() for x in where.points.split(BATCH)])
    if torch.isnan(found).any() or torch.isposinf(found).any():
        raise ValueError("the log density is not a number, or infinite, on the grid")
    return found


def log_z(f: Tensor, where: Grid) -> float:
    """Return log of the integral of exp(f) over the box, f: (count^2,) by `values`."""
    return float(torch.logsumexp(f, 0)) + where.log_cell


def normalised(f: Tensor, where: Grid) -> Tensor:
    """Return f - log Z: the log density, (count^2,), that sums to one over the box."""
    return f - log_z(f, where)


def kl(log_p: Tensor, log_q: Tensor, where: Grid) -> float:
    """Return KL(p, q) in nats of two normalised log densities on the grid, (count^2,) each."""
    mass = (log_p + where.log_cell).exp()
    seen = mass > 0  # 0 log 0 is 0
    return float((mass[seen] * (log_p - log_q)[seen]).sum())


def rim_mass(log_p: Tensor, where: Grid) -> float:
    """Return the share of a normalised density in the outer 5 % of the box: the tails it cuts."""
    rim = where.points.abs().amax(1) > (1 - RIM) * where.half
    return float((log_p[rim] + where.log_cell).exp().sum())


def check_holds(log_p: Tensor, where: Grid) -> None:
    """Refuse a box or resolution with which a density, normalised in the plane, is not 1.

    Raises:
        ValueError: naming the mass found.
    """
    mass = float(torch.exp(torch.tensor(log_z(log_p, where))))
    if abs(mass - 1) > LOST:
        raise ValueError(
            f"the box of half side {where.half} with {where.side} cells a side holds a mass of "
            f"{mass:.4f} of the data's density; give a larger half or more cells"
        )


class Judged(NamedTuple):
    """A model held against a density that is known.

    Attributes:
        kl_data_model: KL(data, model) in nats; 0 is perfect.
        kl_model_data: KL(model, data) in nats; 0 is perfect.
        log_z: of exp(score) over the box, in nats.
        rim: share of the model's mass in the outer 5 % of the box; near 0 where the box holds it.
        log_model: (count^2,), the model's normalised log density, to picture.
        log_data: (count^2,), the data's.
    """

    kl_data_model: float
    kl_model_data: float
    log_z: float
    rim: float
    log_model: Tensor
    log_data: Tensor


def judge(score: LogDensity, truth: LogDensity, where: Grid) -> Judged:
    """Hold an unnormalised model against the data's density.

    Args:
        score: maps (N, 2) to (N,): the model's log density up to a constant.
        truth: the data's, normalised in the plane.
        where: the grid.

    Raises:
        ValueError: the box does not hold the data, or a value is not finite.
    """
    data = values(truth, where)
    check_holds(data, where)
    f = values(score, where)
    p, q = normalised(data, where), normalised(f, where)
    rim = rim_mass(q, where)
    return Judged(kl(p, q, where), kl(q, p, where), log_z(f, where), rim, q, p)
