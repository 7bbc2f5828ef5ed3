"""Annealed importance sampling: log Z of a density, by chains from one whose Z is 1.

    log p_b(x) = (1 - b) log p_0(x) + b log p_1(x),    0 = b_0 < b_1 < ... < b_n = 1
    log w = sum_k (b_(k+1) - b_k) (log p_1(x_k) - log p_0(x_k)),    x_(k+1) ~ move of p_b_(k+1)
    E[w] = Z_1 / Z_0 = Z_1

unbiased for Z, whatever the moves, if each leaves its density as it is: adjusted samplers alone.

Source: Neal, "Annealed importance sampling", arXiv:physics/9803008.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from ebm.energy import LogDensity
from ebm.samplers.annealed import Sampler
from ebm.samplers.noise import spawn

REVISION = 1


class LogZ(NamedTuple):
    """An estimate of log Z, in nats.

    Attributes:
        value: (), the log of the mean weight.
        error: (), its standard error.
        chains: (), the number of equal weights that are worth as much: (sum w)^2 / sum w^2. Where
            it is a small share of N, neither value nor error can be trusted.
    """

    value: Tensor
    error: Tensor
    chains: Tensor


class AisRecord(NamedTuple):
    """What the chains did, left on their device.

    Attributes:
        x: (N, ...), the end state, which the weights belong to.
        acceptance: (levels - 1,), the mean acceptance of the moves at each level after the first.
            Where it is near 0 the chains stood still, and the estimate is that of their start.
    """

    x: Tensor
    acceptance: Tensor


def log_normal(x: Tensor, sd: float = 1.0) -> Tensor:
    """Return log N(x; 0, sd^2 I), (N,), with its constant: a start whose Z is 1. x: (N, ...)."""
    x = x.flatten(1)
    constant = x.shape[1] * (math.log(2 * math.pi) / 2 + math.log(sd))
    return -x.square().sum(1) / (2 * sd**2) - constant


def between(log_p0: LogDensity, log_p1: LogDensity, b: float) -> LogDensity:
    """Return x -> (1 - b) log p_0(x) + b log p_1(x); at 0 and 1 only one of them is evaluated."""
    if b in (0, 1):
        return log_p1 if b else log_p0
    return lambda x: (1 - b) * log_p0(x) + b * log_p1(x)


def ais(
    log_p0: LogDensity,
    log_p1: LogDensity,
    x: Tensor,
    levels: Sequence[float],
    move: Sampler,
    *,
    seeds: Sequence[int] | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, AisRecord]:
    """Return the log weights of chains that go from p_0 to p_1.

    Args:
        log_p0: maps (N, ...) to (N,): the start's log density, normalised.
        log_p1: maps (N, ...) to (N,): the log density whose log Z is asked for.
        x: (N, ...), drawn from p_0, independent of each other.
        levels: b, rising from 0 to 1.
        move: `mala` or `hmc` with its settings, for one level:
            `functools.partial(hmc, steps=1, step_size=0.2, leapfrogs=5)`. One that still adapts
            makes the estimate wrong.
        seeds: one integer a chain; its weight depends on nothing else.
        generator: one source of noise for all chains.

    Returns:
        log w, (N,), for `log_z`; and the record.

    Raises:
        ValueError: levels do not rise from 0 to 1, or the move accepts and refuses nothing.
    """
    if len(levels) < 2 or levels[0] != 0 or levels[-1] != 1:
        raise ValueError(f"levels are {list(levels)[:3]}...; they must begin with 0 and end with 1")
    if any(b <= a for a, b in pairwise(levels)):
        raise ValueError("levels do not rise; each must be above the one before")
    log_weights = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    accepted = []
    for number, (a, b) in enumerate(pairwise(levels)):
        with torch.no_grad():
            log_weights += (b - a) * (log_p1(x) - log_p0(x)).double()
        own = None if seeds is None else spawn(seeds, number)
        x, moved = move(between(log_p0, log_p1, b), x, seeds=own, generator=generator)
        if not hasattr(moved, "acceptance"):
            raise ValueError(
                "move is not adjusted, so the estimate would be wrong; use mala or hmc"
            )
        accepted.append(moved.acceptance.mean())
    return log_weights, AisRecord(x, torch.stack(accepted))


def log_z(log_weights: Tensor) -> LogZ:
    """Return the log of the mean weight and its standard error, by the delta method.

        log Z = log mean w,    error = sd(w) / (sqrt(N) mean w)

    Args:
        log_weights: (N,), of independent chains.

    Raises:
        ValueError: there are fewer than two.
    """
    count = len(log_weights)
    if count < 2:
        raise ValueError(f"there are {count} weights; a standard error needs two or more")
    value = torch.logsumexp(log_weights, 0) - math.log(count)
    relative = (log_weights - value).exp()
    error = relative.std() / count**0.5
    return LogZ(value, error, relative.sum().square() / relative.square().sum())
