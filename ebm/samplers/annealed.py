"""Annealing: chains that run through a schedule of temperatures or of noise levels.

At level i the sampler of the settings runs its own number of steps, on p^(1 / T_i) (simulated
annealing) or on p_sigma_i, the density of data blurred with noise of sd sigma_i (annealed Langevin
dynamics), from where the level before ended.

Source: Kirkpatrick, Gelatt and Vecchi, "Optimization by simulated annealing", 1983; Song and Ermon,
"Generative modeling by estimating gradients of the data distribution", arXiv:1907.05600.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ebm.energy import LogDensity
from ebm.samplers.checks import check_positive
from ebm.samplers.langevin import langevin
from ebm.samplers.noise import spawn

REVISION = 1

Sampler = Callable[..., tuple[Tensor, Any]]
"""`langevin`, `mala` or `hmc`, the latter with `functools.partial(hmc, leapfrogs=...)`."""


class Level(NamedTuple):
    """One level of a schedule.

    Attributes:
        steps: K of this level.
        step_size: that of the sampler at this level.
        temperature: T of this level; 1 if neither this nor `noise` is given.
        noise: the standard deviation of a step's noise, in place of T; not for `hmc`.
        log_density: the density of this level; None is the one that all share.
    """

    steps: int
    step_size: float
    temperature: float | None = None
    noise: float | None = None
    log_density: LogDensity | None = None

    def settings(self) -> dict[str, Any]:
        """Return what the sampler is given at this level."""
        given = {"temperature": self.temperature, "noise": self.noise}
        known = {name: value for name, value in given.items() if value is not None}
        return {"steps": self.steps, "step_size": self.step_size, **known}


def geometric(first: float, last: float, count: int) -> list[float]:
    """Return `count` values from first to last, each the same multiple of the one before.

    Raises:
        ValueError: first or last is not positive, or count is below 2.

    >>> geometric(1.0, 0.01, 3)
    [1.0, 0.1, 0.01]
    """
    check_positive("first", first)
    check_positive("last", last)
    if count < 2:
        raise ValueError(f"count is {count}; a schedule from first to last has 2 levels or more")
    ratio = last / first
    between = [first * ratio ** (i / (count - 1)) for i in range(1, count - 1)]
    return [first, *between, last]


def temperature_levels(temperatures: Sequence[float], steps: int, step_size: float) -> list[Level]:
    """Return a level a temperature, of equal steps and step size."""
    return [Level(steps, step_size, temperature) for temperature in temperatures]


def noise_levels(
    log_density: Callable[[Tensor, float], Tensor],
    sigmas: Sequence[float],
    steps: int,
    step_size: float,
) -> list[Level]:
    """Return a level a noise level, with dt_i = step_size sigma_i^2 / sigma_last^2.

    Args:
        log_density: maps x: (N, ...) and sigma, in units of x, to log p_sigma(x), (N,).
        sigmas: from the largest to the smallest.
        steps: K of each level.
        step_size: dt at the last level, in squared units of x.

    Source: arXiv:1907.05600, algorithm 1.
    """

    def level(sigma: float) -> Level:
        size = step_size * (sigma / sigmas[-1]) ** 2
        return Level(steps, size, log_density=lambda x: log_density(x, sigma))

    return [level(sigma) for sigma in sigmas]


def annealed(
    log_density: LogDensity | None,
    x: Tensor,
    levels: Sequence[Level],
    *,
    sampler: Sampler = langevin,
    seeds: Sequence[int] | None = None,
    generator: torch.Generator | None = None,
    **settings: Any,
) -> tuple[Tensor, list[Any]]:
    """Run chains through the levels, in order.

    Args:
        log_density: maps (N, ...) to (N,); None if every level has its own.
        x: (N, ...), the start; it is not changed.
        levels: the schedule.
        sampler: what runs at each level.
        seeds: one integer a chain; a chain then does not depend on the others of its batch.
        generator: one source of noise for all chains.
        settings: what is the same at all levels: held, bounds, clip, keep and the sampler's own.

    Returns:
        The end state, (N, ...), and the sampler's record of each level.

    Raises:
        ValueError: there is no level, a level has no density, or the sampler refuses.
    """
    if not levels:
        raise ValueError("levels is empty; a schedule has at least one")
    records = []
    for number, level in enumerate(levels):
        density = level.log_density or log_density
        if density is None:
            raise ValueError(f"level {number} has no log_density, and none is given for all")
        own = None if seeds is None else spawn(seeds, number)
        chosen = {**settings, **level.settings(), "seeds": own, "generator": generator}
        x, record = sampler(density, x, **chosen)
        records.append(record)
    return x, records
