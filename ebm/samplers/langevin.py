"""Langevin dynamics: one step and one loop for every system."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from ebm.energy import LogDensity
from ebm.samplers.checks import check, check_positive, check_value
from ebm.samplers.graphed import Step, graphed
from ebm.samplers.noise import Noise
from ebm.samplers.straight import Slope, straight

REVISION = 1


class Record(NamedTuple):
    """What a run of chains did, left on the device of the chains.

    Attributes:
        strength: (), mean over steps and chains of the L2 norm of grad log p(x); NaN where log p
            was no number at the last step, though its gradient may have been one.
        movement: (), mean over chains of the distance from start to end, divided by the square
            root of the number of values in x: the root mean square move of one value.
        temperature: the temperature of the noise; 1 samples exp(log_density) as dt -> 0.
        path: the states that were kept, the start first, each shaped like x.
    """

    strength: Tensor
    movement: Tensor
    temperature: float
    path: list[Tensor]


def noise_scale(
    step_size: float, temperature: float | None, noise: float | None
) -> tuple[float, float]:
    """Return (noise, temperature), of which at most one is given: noise^2 = T dt.

    A published pair, gradient coefficient a and noise b, is step_size = 2 a and noise = b; its
    temperature is b^2 / (2 a), so a = 1, b = .01 runs at 5e-5.

    Raises:
        ValueError: step_size is not positive, both are given, or one is negative.
    """
    check_positive("step_size", step_size)
    if noise is not None and temperature is not None:
        raise ValueError(
            f"both temperature ({temperature}) and noise ({noise}) are given; "
            "give one: noise^2 = temperature * step_size"
        )
    if noise is None:
        temperature = 1.0 if temperature is None else temperature
        if not 0 <= temperature < float("inf"):
            raise ValueError(f"temperature is {temperature}; it must be 0 or more")
        return (temperature * step_size) ** 0.5, temperature
    if not 0 <= noise < float("inf"):
        raise ValueError(f"noise is {noise}; it must be 0 or more")
    return noise, noise**2 / step_size


def langevin(  # noqa: PLR0913
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
    graph: bool = False,
) -> tuple[Tensor, Record]:
    """Run Langevin chains in parallel.

        x' = x + (dt / 2) grad log p(x) + sqrt(T dt) e,    e ~ N(0, I)

    Args:
        log_density: maps (N, ...) to (N,); each chain follows the gradient of its own value.
        x: (N, ...), the start; it is not changed.
        steps: K, the number of steps.
        step_size: dt, the seed's Delta t, in squared units of x. The coefficient of the gradient
            is dt / 2.
        temperature: T, 1 if neither this nor `noise` is given.
        noise: the standard deviation of the noise itself, in units of x, in place of T.
        seeds: one integer a chain; a chain then does not depend on the others of its batch.
        generator: one source of noise for all chains: the fast path, for training.
        held: boolean, broadcastable to x: True where x stays as it is.
        bounds: (low, high); the state is clamped to them after each step.
        clip: the largest absolute value of a component of the gradient.
        keep: keep the state every `keep` steps in the record's path; 0 keeps none.
        graph: replay each step as a CUDA graph, where x is on a GPU and log_density a frozen
            module (ebm/samplers/graphed.py); elsewhere nothing changes.

    Returns:
        The end state, (N, ...), detached, and the record.

    Raises:
        ValueError: a setting is out of range, both members of a pair are given, or log_density has
            another shape or no gradient.

    Source: the tutorial's Langevin dynamics; Parisi 1981; Zhu and Mumford 1998 (GRADE).
    """
    check(x, steps, held=held, bounds=bounds, clip=clip, keep=keep)
    scale, implied = noise_scale(step_size, temperature, noise)
    source = Noise(x, steps if scale else 0, seeds=seeds, generator=generator)
    start, x = x.detach(), x.detach().clone()
    strength = torch.zeros((), device=x.device)
    path = [start] if keep else []
    move = Move(step_size, scale, bounds, clip)
    advance: Step = partial(take_step, move, slope_of(log_density, x))
    if graph:
        advance, x, strength = graphed(advance, log_density, move, x, strength)
    for step in range(steps):
        value = advance(x, source.next() if scale else None, strength)
        if not step:
            check_value(value, x)
        if held is not None:
            torch.where(held, start, x, out=x)
        if keep and (step + 1) % keep == 0:
            path.append(x.clone())
    if steps:
        strength = strength.masked_fill(value.isnan().any(), torch.nan)
    movement = (x - start).flatten(1).square().mean(1).sqrt().mean()
    end = x.clone() if graph else x  # a graph's x is used again
    return end, Record(strength / max(steps, 1), movement, implied, path)


class Move(NamedTuple):
    """How far a step goes; as the arguments of `langevin`, with the noise's own deviation."""

    step_size: float
    scale: float
    bounds: tuple[float, float] | None
    clip: float | None


def take_step(
    move: Move, slope: Slope, x: Tensor, noise: Tensor | None, strength: Tensor
) -> Tensor:
    """Move x: (N, ...) by one step, in place; return log_density of x before it, (N,).

    Args:
        move: how far.
        slope: maps x to log_density of it, (N,), and the gradient, (N, ...), a tensor of its own.
        x: the state.
        noise: standard normal, shaped like x; None where there is none.
        strength: (), to which the mean norm of the gradient is added.
    """
    step_size, scale, bounds, clip = move
    value, gradient = slope(x)
    strength += torch.linalg.vector_norm(gradient.flatten(1), dim=1).mean()
    if clip is not None:
        gradient.clamp_(-clip, clip)
    x.add_(gradient, alpha=step_size / 2)
    if noise is not None:
        x.add_(noise, alpha=scale)
    if bounds is not None:
        x.clamp_(*bounds)
    return value


def slope_of(log_density: LogDensity, x: Tensor) -> Slope:
    """Return x -> `value_and_grad` of it, by the shortest way to the same bits, for x like this."""
    return straight(log_density, x) or partial(value_and_grad, log_density)


def value_and_grad(log_density: LogDensity, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return log_density(x), (N,), and the gradient of its sum, (N, ...): each chain has its own.

    A mean over the batch would divide the step by the number of chains.

    Raises:
        ValueError: there is no gradient.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_(True)
        value = log_density(x)
        try:
            return value.detach(), torch.autograd.grad(value, x, torch.ones_like(value))[0]
        except RuntimeError as error:
            if torch.is_inference_mode_enabled():
                raise ValueError(
                    "chains need gradients, and torch.inference_mode leaves none; use torch.no_grad"
                ) from error
            if not value.requires_grad or "not have been used" in str(error):
                raise ValueError("log_density does not depend on x; it has no gradient") from error
            raise


def grad(log_density: LogDensity, x: Tensor) -> Tensor:
    """Return the gradient of log_density at x, (N, ...), each chain's of its own value."""
    return value_and_grad(log_density, x)[1]
