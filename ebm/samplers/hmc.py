"""Hamiltonian Monte Carlo: leapfrog trajectories, accepted or refused chain by chain.

    H(x, v) = -log p(x) / T + v' M^-1 v / 2,    v ~ N(0, M),  M diagonal
    v <- v + (eps / 2) c(grad log p(x)) / T         kick
    x <- x + eps M^-1 v                             drift
    v <- v + (eps / 2) c(grad log p(x)) / T         kick
    accept with probability min(1, exp(H(x, v) - H(x', v')))

`step_size` is eps, in units of x (for M = I); one leapfrog at T = 1 is the Langevin step of
dt = eps^2.

Bounds. A free value flies inside its own interval and turns its momentum round at the walls. In one
dimension that is an exact flow: it is made of shifts and reflections, so it preserves volume, and
run backwards it returns, so it is reversible; as M is diagonal, the values do not meet, and turning
a momentum round leaves v' M^-1 v. So nothing but the kicks errs, and the acceptance accounts for
them: the chain is exact for p cut off at the bounds.

Length. On a Gaussian of sd s a flight has the period 2 pi s (M = I, T = 1): a trajectory of half of
it lands at the mirror image of its start, is accepted, and the chain goes nowhere. A quarter, where
L eps is 1.6 s, mixes best; look at `ebm.samplers.ess`, not at the acceptance alone.

Clip. A kick shifts v by a function of x alone, which preserves volume and is undone by its reverse,
whatever the function: a clipped one too. H is that of p itself, so the chain stays exact.

Source: Neal, "MCMC using Hamiltonian dynamics", arXiv:1206.1901.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ebm.energy import LogDensity
from ebm.samplers.averaging import DualAveraging
from ebm.samplers.checks import check, check_positive, check_precise, check_value
from ebm.samplers.metropolis import Sources, State, Target, place, possible, walk

REVISION = 1

DIVERGENT = 1000.0  # an error of H beyond this, or none at all, is a trajectory that broke


class HmcRecord(NamedTuple):
    """What a run of chains did, left on the device of the chains.

    Attributes:
        acceptance: (N,), the share of each chain's proposals that were accepted after `adapt`.
        energy_error: (), mean of |H(x', v') - H(x, v)| over all proposals that did not diverge.
        divergent: (), the share of all proposals whose H rose by more than 1000, or is no number.
        step_size: (), eps at the end: that found by `adapt`, for a run without it.
        strength, movement, temperature, path: as in `ebm.samplers.langevin.Record`; the strength
            is that of the free values.
    """

    acceptance: Tensor
    energy_error: Tensor
    divergent: Tensor
    step_size: Tensor
    strength: Tensor
    movement: Tensor
    temperature: float
    path: list[Tensor]


def reflect(
    x: Tensor, momentum: Tensor, bounds: tuple[float, float], held: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Fold free values of x: (N, ...) that flew past the bounds back, as elastic walls do.

    Returns:
        x within the bounds, and the momentum, turned round where the number of walls hit is odd.
    """
    low, high = bounds
    width = high - low
    laps = torch.floor((x - low) / width)
    along = x - low - laps * width
    odd = laps.remainder(2) == 1
    folded = torch.where(odd, high - along, low + along)
    folded = torch.where(laps == 0, x, folded).clamp(low, high)
    if held is not None:
        folded, odd = torch.where(held, x, folded), odd & ~held
    return folded, torch.where(odd, -momentum, momentum)


class Hamiltonian:
    """The trajectory and its log acceptance ratio.

    Args:
        target: log p and the values held.
        sources: where momenta come from.
        averaging: the step size, and what it learns from the acceptance.
        leapfrogs: L, steps of a trajectory.
        mass: the diagonal of M, broadcastable to x.
        temperature: T.
        bounds: the walls.
        clip: the largest absolute value of a component of the gradient.
    """

    def __init__(
        self,
        target: Target,
        sources: Sources,
        averaging: DualAveraging,
        *,
        leapfrogs: int,
        mass: Tensor,
        temperature: float,
        bounds: tuple[float, float] | None,
        clip: float | None,
    ) -> None:
        self.target, self.sources, self.averaging = target, sources, averaging
        self.leapfrogs, self.mass, self.temperature = leapfrogs, mass, temperature
        self.bounds, self.clip = bounds, clip
        self.error, self.divergent = mass.new_zeros(()), mass.new_zeros(())

    def kick(self, momentum: Tensor, state: State, duration: Tensor) -> Tensor:
        """Return the momentum after the force at the state has acted for `duration`."""
        force = state.gradient
        if self.clip is not None:
            force = force.clamp(-self.clip, self.clip)
        return momentum + duration * force / self.temperature

    def drift(self, x: Tensor, momentum: Tensor, duration: Tensor) -> tuple[Tensor, Tensor]:
        """Return x and the momentum after a flight of `duration`."""
        x = x + duration * momentum / self.mass
        if self.bounds is None:
            return x, momentum
        return reflect(x, momentum, self.bounds, self.target.held)

    def energy(self, state: State, momentum: Tensor) -> Tensor:
        """Return H, (N,)."""
        kinetic = (momentum.square() / self.mass).flatten(1).sum(1) / 2
        return kinetic - state.value / self.temperature

    def __call__(self, state: State) -> tuple[State, Tensor]:
        """Propose the end of a trajectory and return it with H(x, v) - H(x', v')."""
        momentum = self.target.free(self.sources.proposals.next() * self.mass.sqrt())
        before, step_size = self.energy(state, momentum), self.averaging.step_size
        for _ in range(self.leapfrogs):
            momentum = self.kick(momentum, state, step_size / 2)
            x, momentum = self.drift(state.x, momentum, step_size)
            state = self.target.at(x)
            momentum = self.kick(momentum, state, step_size / 2)
        log_ratio = before - self.energy(state, momentum)
        log_ratio = possible(log_ratio, state)
        self.note(log_ratio)
        return state, log_ratio

    def note(self, log_ratio: Tensor) -> None:
        """Record the error of H, and let the step size learn from it."""
        broken = ~(log_ratio > -DIVERGENT)
        self.divergent += broken.float().mean()
        self.error += log_ratio.abs().masked_fill(broken, 0).sum() / (~broken).sum().clamp(min=1)
        self.averaging.learn(log_ratio.clamp(max=0).exp().nan_to_num(0).mean())


def hmc(  # noqa: PLR0913
    log_density: LogDensity,
    x: Tensor,
    *,
    steps: int,
    step_size: float | Tensor,
    leapfrogs: int,
    mass: Tensor | None = None,
    adapt: int = 0,
    acceptance: float = 0.8,
    temperature: float | None = None,
    noise: None = None,
    seeds: Sequence[int] | None = None,
    generator: torch.Generator | None = None,
    held: Tensor | None = None,
    bounds: tuple[float, float] | None = None,
    clip: float | None = None,
    keep: int = 0,
) -> tuple[Tensor, HmcRecord]:
    """Run Hamiltonian Monte Carlo chains in parallel, exact for p^(1 / T).

    Args:
        log_density: maps (N, ...) to (N,), row by row.
        x: (N, ...), the start; it is not changed, but free values beyond the bounds begin at them.
        steps: K, the number of trajectories.
        step_size: eps of a leapfrog, in units of x; where it starts if `adapt` is given.
        leapfrogs: L, gradients a trajectory.
        mass: the diagonal of M, positive, broadcastable to x[:1]; None is the identity.
        adapt: the first so many steps find the step size, one for all chains: leave them out of
            what is measured.
        acceptance: the mean acceptance that `adapt` aims at; .65 to .8 is best.
        temperature: T above 0, 1 if not given.
        noise: refused; of `langevin` and `mala` alone.
        seeds: one integer a chain; its momenta and its acceptance depend on nothing else.
        generator: one source for all chains.
        held: boolean, broadcastable to x: the target is then p of the rest, given these.
        bounds: (low, high), finite: the target is p cut off there.
        clip: the largest absolute value of a component of the gradient in a kick.
        keep: keep the state every `keep` steps in the record's path; 0 keeps none.

    Returns:
        The end state, (N, ...), detached, and the record.

    Raises:
        ValueError: a setting is out of range, seeds and adapt are both given, or log_density has
            another shape or no gradient.
    """
    check(x, steps, held=held, bounds=bounds, clip=clip, keep=keep)
    check_precise(x)
    if noise is not None:
        raise ValueError(f"noise is {noise}; hmc draws momenta instead: give temperature")
    temperature = 1.0 if temperature is None else temperature
    check_positive("step_size", step_size)
    check_positive("temperature", temperature)
    check_trajectory(steps, leapfrogs, adapt, acceptance, seeds)
    if bounds is not None and not bounds[1] - bounds[0] < float("inf"):
        raise ValueError(f"bounds is {bounds}; walls to reflect at must be finite")
    target, sources = Target(log_density, held), Sources(x, steps, seeds, generator)
    averaging = DualAveraging(as_scalar(step_size, x), adapt, acceptance)
    walker = Hamiltonian(
        target,
        sources,
        averaging,
        leapfrogs=leapfrogs,
        mass=torch.ones_like(x[:1]) if mass is None else check_mass(x, mass),
        temperature=temperature,
        bounds=bounds,
        clip=clip,
    )
    state = target.at(place(x, bounds, held))
    check_value(state.value, x)
    x, walked = walk(walker, state, sources, steps=steps, adapt=adapt, keep=keep)
    error, divergent = walker.error / max(steps, 1), walker.divergent / max(steps, 1)
    found = walked.acceptance, error, divergent, averaging.step_size
    return x, HmcRecord(*found, walked.strength, walked.movement, temperature, walked.path)


def as_scalar(value: float | Tensor, like: Tensor) -> Tensor:
    """Return the value as a tensor, (), of the device and type of `like`, with no wait."""
    if isinstance(value, Tensor):
        return value.detach().to(like)
    return torch.full((), value, dtype=like.dtype, device=like.device)


def check_trajectory(
    steps: int,
    leapfrogs: int,
    adapt: int,
    acceptance: float,
    seeds: Sequence[int] | None,
) -> None:
    """Check the settings of a trajectory.

    Raises:
        ValueError: one is out of range, or they do not go together.
    """
    if leapfrogs < 1:
        raise ValueError(f"leapfrogs is {leapfrogs}; it must be 1 or more")
    if not 0 <= adapt <= steps:
        raise ValueError(f"adapt is {adapt}; it must be from 0 to steps, {steps}")
    if not 0 < acceptance < 1:
        raise ValueError(f"acceptance is {acceptance}; it must be between 0 and 1")
    if adapt and seeds is not None:
        raise ValueError(
            f"seeds and adapt ({adapt}) are both given; adapting couples the chains: adapt with a "
            "generator, then run the seeds at the step size in its record"
        )


def check_mass(x: Tensor, mass: Tensor) -> Tensor:
    """Return the diagonal of M, (1, ...), on the device of x; its values are not read.

    Raises:
        ValueError: it does not fit one chain of x: (N, ...).
    """
    try:
        return mass.to(x).expand_as(x[:1])
    except RuntimeError:
        raise ValueError(
            f"mass has shape {tuple(mass.shape)}; it must broadcast to {(1, *x.shape[1:])}"
        ) from None
