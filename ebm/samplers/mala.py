"""Metropolis-adjusted Langevin: the Langevin step as a proposal, so that no step-size bias is left.

    x' = x + (dt / 2) c(grad log p(x)) + sqrt(T dt) e,    e ~ N(0, I)
    q(x' | x) = N(x'; x + (dt / 2) c(grad log p(x)), T dt I)

accepted for the target p^(1 / T). c clips each component if `clip` is given; it stands in the
proposal density in both directions, so the chain stays exact.

Source: Roberts and Tweedie, "Exponential convergence of Langevin distributions and their discrete
approximations", Bernoulli 1996.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ebm.energy import LogDensity
from ebm.samplers.checks import check, check_precise, check_value
from ebm.samplers.langevin import noise_scale
from ebm.samplers.metropolis import Sources, State, Target, outside, place, possible, walk

REVISION = 1


class MalaRecord(NamedTuple):
    """What a run of chains did, left on the device of the chains.

    Attributes:
        acceptance: (N,), the share of each chain's proposals that were accepted; .574 is best for
            many dimensions (Roberts and Rosenthal 1998).
        strength, movement, temperature, path: as in `ebm.samplers.langevin.Record`; the strength
            is that of the free values.
    """

    acceptance: Tensor
    strength: Tensor
    movement: Tensor
    temperature: float
    path: list[Tensor]


class Mala:
    """The proposal and its log acceptance ratio.

    Args:
        target: log p and the values held.
        sources: where the noise comes from.
        step_size: dt.
        scale: sqrt(T dt).
        temperature: T.
        bounds: proposals beyond them are refused: p is zero there.
        clip: the largest absolute value of a component of the gradient.
    """

    def __init__(
        self,
        target: Target,
        sources: Sources,
        *,
        step_size: float,
        scale: float,
        temperature: float,
        bounds: tuple[float, float] | None,
        clip: float | None,
    ) -> None:
        self.target, self.sources, self.bounds, self.clip = target, sources, bounds, clip
        self.step_size, self.scale, self.temperature = step_size, scale, temperature

    def mean(self, state: State) -> Tensor:
        """Return the mean of the proposal, (N, ...): x + (dt / 2) c(grad log p(x))."""
        drift = state.gradient
        if self.clip is not None:
            drift = drift.clamp(-self.clip, self.clip)
        return torch.add(state.x, drift, alpha=self.step_size / 2)

    def log_q(self, x: Tensor, mean: Tensor) -> Tensor:
        """Return log q(x | mean) up to a constant, (N,); held values add nothing."""
        return -(x - mean).flatten(1).square().sum(1) / (2 * self.scale**2)

    def __call__(self, state: State) -> tuple[State, Tensor]:
        """Propose x' and return it with log p(x') q(x | x') / (p(x) q(x' | x)) at T."""
        mean = self.mean(state)
        noise = self.target.free(self.sources.proposals.next())
        new = self.target.at(torch.add(mean, noise, alpha=self.scale))
        log_ratio = (new.value - state.value) / self.temperature
        log_ratio = log_ratio + self.log_q(state.x, self.mean(new)) - self.log_q(new.x, mean)
        if self.bounds is not None:
            log_ratio = log_ratio.masked_fill(
                outside(new.x, self.bounds, self.target.held), -torch.inf
            )
        return new, possible(log_ratio, new)


def mala(
    log_density: LogDensity,
    x: Tensor,
    *,
    steps: int,
    step_size: float,
    temperature: float | None = None,
    noise: float | None = None,
    seeds: Sequence[int] | None = None,
    generator: torch.Generator | None = None,
    held: Tensor | None = None,
    bounds: tuple[float, float] | None = None,
    clip: float | None = None,
    keep: int = 0,
) -> tuple[Tensor, MalaRecord]:
    """Run Metropolis-adjusted Langevin chains in parallel, exact for p^(1 / T).

    The arguments are those of `ebm.samplers.langevin.langevin`, but for

    Args:
        log_density: maps (N, ...) to (N,), row by row.
        x: (N, ...), the start; it is not changed, but free values beyond the bounds begin at them.
        steps: K, the number of proposals, of one gradient each.
        step_size: dt, in squared units of x.
        temperature: T above 0, 1 if neither this nor `noise` is given.
        noise: sqrt(T dt) itself, in units of x, in place of T.
        seeds: one integer a chain; its noise and its acceptance depend on nothing else.
        generator: one source for all chains.
        held: boolean, broadcastable to x: the target is then p of the rest, given these.
        bounds: (low, high): the target is p cut off there; proposals beyond are refused.
        clip: the largest absolute value of a component of the gradient in the proposal.
        keep: keep the state every `keep` steps in the record's path; 0 keeps none.

    Returns:
        The end state, (N, ...), detached, and the record.

    Raises:
        ValueError: a setting is out of range, both members of a pair are given, T is 0, or
            log_density has another shape or no gradient.
    """
    check(x, steps, held=held, bounds=bounds, clip=clip, keep=keep)
    check_precise(x)
    scale, implied = noise_scale(step_size, temperature, noise)
    if not scale:
        raise ValueError("the temperature is 0; an adjusted chain needs noise above 0")
    target, sources = Target(log_density, held), Sources(x, steps, seeds, generator)
    propose = Mala(
        target,
        sources,
        step_size=step_size,
        scale=scale,
        temperature=implied,
        bounds=bounds,
        clip=clip,
    )
    state = target.at(place(x, bounds, held))
    check_value(state.value, x)
    x, walked = walk(propose, state, sources, steps=steps, keep=keep)
    return x, MalaRecord(*walked[:3], implied, walked.path)
