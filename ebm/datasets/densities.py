"""Two-dimensional densities that can be sampled and evaluated: what learners are tried on first.

Each is an equal mixture of small round Gaussians along a shape,

    p(x) = 1/M sum_m N(x; c_m, sd^2 I)

so that log p is exact and independent draws cost nothing. The raw data are the formulas below:
`raw` of such a data set names this file, and nothing is fetched.

Source: eight Gaussians on the unit circle (sd .15) and rings as in Nijkamp et al., AAAI 2020,
arXiv:1903.12370; the pinwheel is that of Johnson et al., arXiv:1603.06277, here as a mixture.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ebm.datasets.loaded import Loaded, Tell, silent
from ebm.datasets.source import Source
from ebm.names import hint
from ebm.settings import Settings

REVISION = 1

ITEMS = "points"

SOURCE = Source(
    title="Two-dimensional densities",
    licence="none needed: the points are drawn from formulas",
    credit="formulas in ebm/datasets/densities.py",
    files={},
)

BATCH = 4096  # points evaluated at once: memory is this times the Gaussians of a mixture


class Options(Settings):
    """Which density, and how many points of it."""

    density: Literal["gaussians", "moons", "pinwheel", "rings"]
    count: int = Field(ge=1, description="points drawn, before they are split")
    seed: int = Field(ge=0, description="of the points")


class Mixture(NamedTuple):
    """An equal mixture of round Gaussians in the plane.

    Attributes:
        centres: (M, 2) float64.
        sd: standard deviation of each Gaussian, in the units of x.
    """

    centres: Tensor
    sd: float

    def log_density(self, x: Tensor) -> Tensor:
        """Return log p(x), (N,) float64 in nats, of x: (N, 2)."""
        return torch.cat([self.log_density_of_few(part) for part in x.split(BATCH)])

    def log_density_of_few(self, x: Tensor) -> Tensor:
        """Return log p(x) without parting x."""
        centres = self.centres.to(x.device)
        squares = (x.double()[:, None] - centres).square().sum(-1)
        normaliser = math.log(len(centres) * 2 * math.pi * self.sd**2)
        return torch.logsumexp(-squares / (2 * self.sd**2), 1) - normaliser

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw independent points, (count, 2) float32, by a generator of the CPU."""
        rows = torch.randint(len(self.centres), (count,), generator=generator)
        noise = torch.randn((count, 2), generator=generator, dtype=torch.float64)
        return (self.centres[rows] + self.sd * noise).float()


def arc(radius: float, first: float, last: float, count: int) -> Tensor:
    """Return centres (count, 2) on an arc about 0, at the middles of equal parts of the angle."""
    parts = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    angle = first + (last - first) * parts
    return radius * torch.stack([angle.cos(), angle.sin()], 1)


def gaussians() -> Mixture:
    """Return eight Gaussians on the unit circle."""
    return Mixture(arc(1.0, 0.0, 2 * math.pi, 8), 0.15)


def rings() -> Mixture:
    """Return three rings about 0, each with a third of the mass."""
    return Mixture(torch.cat([arc(r, 0.0, 2 * math.pi, 120) for r in (0.5, 1.0, 1.5)]), 0.1)


def moons() -> Mixture:
    """Return two half circles, each reaching into the other."""
    upper = arc(1.0, 0.0, math.pi, 60)
    lower = torch.tensor([1.0, 0.5], dtype=torch.float64) - upper
    return Mixture(torch.cat([upper, lower]) - torch.tensor([0.5, 0.25]), 0.1)


def pinwheel() -> Mixture:
    """Return five arms that turn as they go out; the radius is normal along each."""
    parts = (torch.arange(40, dtype=torch.float64) + 0.5) / 40
    radius = 1 + 0.35 * math.sqrt(2) * torch.erfinv(2 * parts - 1)
    arms = []
    for arm in range(5):
        angle = 2 * math.pi * arm / 5 + 0.25 * radius.exp()
        arms.append(radius[:, None] * torch.stack([angle.cos(), angle.sin()], 1))
    return Mixture(torch.cat(arms), 0.08)


DENSITIES: dict[str, Callable[[], Mixture]] = {
    "gaussians": gaussians,
    "moons": moons,
    "pinwheel": pinwheel,
    "rings": rings,
}


def density(name: str) -> Mixture:
    """Return the density of this name.

    Raises:
        ValueError: there is none of this name.
    """
    if name not in DENSITIES:
        raise ValueError(f"there is no density {name!r}; {hint(name, DENSITIES)}")
    return DENSITIES[name]()


def load(raw: Path, options: Options, tell: Tell = silent) -> Loaded:
    """Return points (count, 2) float32, and labels (count,) that are all 0.

    Args:
        raw: this file; it is not read.
        options: which density, how many points, and their seed.
    """
    generator = torch.Generator().manual_seed(options.seed)
    points = density(options.density).sample(options.count, generator).numpy()
    bounds = (float(points.min()), float(points.max()))
    notes = {"density": options.density}  # so that what is learned can be held against it
    return Loaded(points, np.zeros(options.count, np.int64), notes=notes, bounds=bounds)
