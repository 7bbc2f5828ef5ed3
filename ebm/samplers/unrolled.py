"""The short-run chain as a generator: x = M(z), differentiable in z and in the parameters of f.

    x_0 = z,    x_(t+1) = x_t + (dt / 2) grad f(x_t) + sqrt(T dt) e_t,    M(z) = x_K

With the noise e fixed, M is a residual network of K layers. Its derivative holds the second
derivatives of f, exactly:

    d x_(t+1) / d x_t = I + (dt / 2) Hessian f(x_t)

Where f is piecewise linear (ReLU) the Hessian is zero almost everywhere: use smooth activations.
Bounds and clip pass gradients as torch's clamp does: none where a value was cut.

Memory: the whole graph, K times that of one step, or with `segment` = S the states at K / S places
and the graph of S steps, at the price of running the chain once more: S = sqrt(K) is least. The
segments keep no graph while they run forward. torch.utils.checkpoint would compute the same, but
each inner gradient makes it run its segment again, so that its cost grows with S (K = 20, S = 10:
150 evaluations of f where 40 do).

Source: Nijkamp, Hill, Zhu, Wu, "Learning Non-Convergent Non-Persistent Short-Run MCMC Toward
Energy-Based Model", arXiv:1904.09770, section 4.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ebm.energy import LogDensity
from ebm.samplers.checks import check
from ebm.samplers.langevin import noise_scale
from ebm.samplers.noise import Noise

REVISION = 1


class Step(NamedTuple):
    """The settings of a differentiable Langevin step; as those of `langevin`."""

    log_density: LogDensity
    step_size: float
    scale: float
    held: Tensor | None
    bounds: tuple[float, float] | None
    clip: float | None

    def __call__(self, x: Tensor, noise: Tensor | None, graph: bool) -> Tensor:
        """Return the next state of x: (N, ...), with the graph of its derivative if asked for."""
        with torch.enable_grad():
            at = x if graph and x.requires_grad else x.detach().requires_grad_()
            value = self.log_density(at).sum()
            (gradient,) = torch.autograd.grad(value, at, create_graph=graph)
        if self.clip is not None:
            gradient = gradient.clamp(-self.clip, self.clip)
        new = torch.add(at if graph else x, gradient, alpha=self.step_size / 2)
        if noise is not None:
            new = torch.add(new, noise, alpha=self.scale)
        if self.bounds is not None:
            new = new.clamp(*self.bounds)
        return new if self.held is None else torch.where(self.held, x, new)

    def run(self, x: Tensor, noises: Sequence[Tensor | None], graph: bool) -> Tensor:
        """Take one step a noise."""
        for noise in noises:
            x = self(x, noise, graph)
        return x


class Segment(torch.autograd.Function):
    """Some steps of the chain, whose graph is built when the gradient is asked for."""

    @staticmethod
    def forward(
        ctx: Any, step: Step, noises: list[Tensor | None], x: Tensor, *parameters: Tensor
    ) -> Tensor:
        """Run the steps from x: (N, ...) without a graph."""
        ctx.step, ctx.noises = step, noises
        ctx.save_for_backward(x, *parameters)
        return step.run(x, noises, graph=False)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor | None, ...]:
        """Run them again with a graph, and go back through it."""
        x, *parameters = ctx.saved_tensors
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            end = ctx.step.run(x, ctx.noises, graph=True)
            wanted = [x, *parameters]
            return None, None, *torch.autograd.grad(end, wanted, above, allow_unused=True)


def unrolled(  # noqa: PLR0913
    log_density: LogDensity,
    z: Tensor,
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
    segment: int | None = None,
    parameters: Sequence[Tensor] = (),
) -> Tensor:
    """Return M(z), (N, ...), with a graph to z and to `parameters`.

    The values are those of `langevin` with the same arguments. For M to be one function of z, fix
    the noise by `seeds`, or switch it off by `noise=0`.

    Args:
        log_density: maps (N, ...) to (N,), twice differentiable.
        z: (N, ...), the start.
        steps: K, the number of steps.
        step_size, temperature, noise, seeds, generator, held, bounds, clip: as in `langevin`.
        segment: S, the steps whose graph is held at a time; None holds all.
        parameters: the parameters of f that the gradient is wanted for too. All others must be
            frozen (`ebm.energy.frozen`), backward included.

    Returns:
        The end state. With `segment` it can be differentiated once, which is what descent needs.

    Raises:
        ValueError: a setting is out of range, or f has parameters neither frozen nor named.
    """
    check(z, steps, held=held, bounds=bounds, clip=clip)
    if segment is not None and segment < 1:
        raise ValueError(f"segment is {segment}; it must be 1 or more, or None for all steps")
    if not parameters:
        check_frozen(log_density, z)
    scale, _ = noise_scale(step_size, temperature, noise)
    source = Noise(z, steps if scale else 0, seeds=seeds, generator=generator)
    noises = [source.next().clone() if scale else None for _ in range(steps)]
    step = Step(log_density, step_size, scale, held, bounds, clip)
    if segment is None:
        return step.run(z, noises, graph=True)
    x = z
    for first in range(0, steps, segment):
        x = Segment.apply(step, noises[first : first + segment], x, *parameters)
    return x


def check_frozen(log_density: LogDensity, z: Tensor) -> None:
    """Check that f depends on nothing that learns, where no parameters are asked for.

    Raises:
        ValueError: it does.
    """
    with torch.enable_grad():
        learns = log_density(z[:1].detach()).requires_grad
    if learns:
        raise ValueError(
            "log_density has parameters that learn: freeze them (ebm.energy.frozen), or name them "
            "in parameters if their gradient is wanted"
        )
