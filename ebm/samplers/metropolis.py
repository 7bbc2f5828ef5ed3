"""The Metropolis-Hastings step that makes a chain exact, whatever it proposes.

    accept x' with probability min(1, p(x') q(x | x') / (p(x) q(x' | x)))

Each chain is accepted or refused by itself. A proposal whose ratio is not a number is refused, and
one where log p is plus infinity: no chain would ever leave it.

Source: Hastings, "Monte Carlo sampling methods using Markov chains and their applications", 1970.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ebm.energy import LogDensity
from ebm.samplers.langevin import slope_of
from ebm.samplers.noise import Noise, spawn
from ebm.samplers.straight import Slope

REVISION = 1


class State(NamedTuple):
    """Where the chains are.

    Attributes:
        x: (N, ...).
        value: (N,), log p(x).
        gradient: (N, ...), grad log p(x), zero where x is held.
    """

    x: Tensor
    value: Tensor
    gradient: Tensor


Propose = Callable[[State], tuple[State, Tensor]]
"""Maps the state to the proposed one and the log of the acceptance ratio, (N,)."""


class Walk(NamedTuple):
    """What a run of adjusted chains did, left on their device.

    Attributes:
        acceptance: (N,), the share of each chain's proposals that were accepted.
        strength: (), mean over steps and chains of the L2 norm of grad log p(x) where x is free.
        movement: (), root mean square move of a value from start to end, averaged over chains.
        path: the states that were kept, the start first, each shaped like x.
    """

    acceptance: Tensor
    strength: Tensor
    movement: Tensor
    path: list[Tensor]


class Target:
    """exp(log_density) on the values that are free: its state at x, and masked noise.

    Args:
        log_density: maps (N, ...) to (N,).
        held: boolean, broadcastable to x: these values belong to no proposal.
    """

    def __init__(self, log_density: LogDensity, held: Tensor | None) -> None:
        self.log_density, self.held = log_density, held
        self.slope: Slope | None = None

    def at(self, x: Tensor) -> State:
        """Return the state at x: (N, ...), of one type and layout at every call."""
        self.slope = self.slope or slope_of(self.log_density, x)
        value, gradient = self.slope(x)
        return State(x, value, self.free(gradient))

    def free(self, x: Tensor) -> Tensor:
        """Return x: (N, ...) with zeros where values are held."""
        return x if self.held is None else x.masked_fill(self.held, 0)


class Sources:
    """The two streams of randomness of adjusted chains: proposals, and acceptance.

    Args:
        x: (N, ...), the start.
        steps: how many proposals there will be.
        seeds: N integers: both streams of a chain come from its own seed.
        generator: one source for both.
    """

    def __init__(
        self,
        x: Tensor,
        steps: int,
        seeds: Sequence[int] | None,
        generator: torch.Generator | None,
    ) -> None:
        other = None if seeds is None else spawn(seeds, 1)
        one_each = x.new_empty(len(x))
        self.proposals = Noise(x, steps, seeds=seeds, generator=generator)
        self.uniforms = Noise(one_each, steps, seeds=other, generator=generator)

    def log_uniform(self) -> Tensor:
        """Return log u, (N,), of u uniform in (0, 1): u = Phi(e) with e ~ N(0, 1)."""
        return torch.special.log_ndtr(self.uniforms.next())


def possible(log_ratio: Tensor, proposed: State) -> Tensor:
    """Return the log acceptance ratio, (N,), no number where the proposed log p is infinite."""
    return log_ratio.masked_fill(proposed.value == torch.inf, torch.nan)


def choose(accepted: Tensor, proposed: State, state: State) -> State:
    """Return chain by chain the proposed state where accepted: (N,) is True, else the old one."""
    column = accepted.view(-1, *[1] * (state.x.ndim - 1))
    return State(
        torch.where(column, proposed.x, state.x),
        torch.where(accepted, proposed.value, state.value),
        torch.where(column, proposed.gradient, state.gradient),
    )


def walk(
    propose: Propose, state: State, sources: Sources, *, steps: int, adapt: int = 0, keep: int = 0
) -> tuple[Tensor, Walk]:
    """Run `steps` proposals; the first `adapt` do not count in the acceptance, if others follow.

    Args:
        propose: the sampler's proposal.
        state: the start.
        sources: randomness; the proposal draws from the same.
        steps: K.
        adapt: the steps in which the proposal still changes.
        keep: keep the state every `keep` steps; 0 keeps none.

    Returns:
        The end state, (N, ...), and what was recorded.
    """
    start = state.x
    counted = steps - adapt if adapt < steps else steps
    acceptance = torch.zeros_like(state.value)
    strength = torch.zeros((), device=start.device)
    path = [start] if keep else []
    for step in range(steps):
        strength += state.gradient.flatten(1).norm(dim=1).mean()
        proposed, log_ratio = propose(state)
        accepted = sources.log_uniform() < log_ratio
        state = choose(accepted, proposed, state)
        if step >= steps - counted:
            acceptance += accepted
        if keep and (step + 1) % keep == 0:
            path.append(state.x)
    movement = (state.x - start).flatten(1).square().mean(1).sqrt().mean()
    walked = Walk(acceptance / max(counted, 1), strength / max(steps, 1), movement, path)
    return state.x, walked


def outside(x: Tensor, bounds: tuple[float, float], held: Tensor | None) -> Tensor:
    """Return (N,), True where a free value of x: (N, ...) is beyond the bounds."""
    beyond = (x < bounds[0]) | (x > bounds[1])
    return (beyond if held is None else beyond & ~held).flatten(1).any(1)


def place(x: Tensor, bounds: tuple[float, float] | None, held: Tensor | None) -> Tensor:
    """Return a copy of the start x: (N, ...), its free values moved into the bounds."""
    x = x.detach()
    if bounds is None:
        return x.clone()
    inside = x.clamp(*bounds)
    return inside if held is None else torch.where(held, x, inside)
