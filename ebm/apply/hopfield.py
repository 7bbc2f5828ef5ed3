"""The Hopfield auto-encoder: a mode of a density with a Gaussian reference reconstructs itself.

    grad log p(x) = grad f(x) - x / s^2,    so at a mode    x = s^2 grad f(x)

f's bottom-up pass encodes x, and the top-down pass with the same weights, the gradient, decodes it.
A chain at temperature 1 is not at a mode but about one: where f is linear, x is N(s^2 grad f, s^2).
Its correlation with s^2 grad f(x) is then sqrt(1 - s^2 / Var x), Var x over an image's values.

Source: Xie, Lu, Zhu, Wu, arXiv:1602.03264, section 4.
"""

from typing import Any

import torch
from torch import Tensor

from ebm.energy import LogDensity
from ebm.learn.parts import at_rest
from ebm.samplers.langevin import langevin

REVISION = 1


def reconstruct(f: LogDensity, x: Tensor, sd: float) -> Tensor:
    """Return s^2 grad f(x), (N, ...), of x: (N, ...).

    Args:
        f: maps (N, ...) to (N,), its parameters frozen; the reference is not in it.
        x: may stand in a graph; it is cut off.
        sd: s, of the reference.
    """
    x = x.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(f(x).sum(), x)
    return sd**2 * gradient


def climb(learner: Any, x: Tensor, steps: int) -> Tensor:
    """Return where x: (N, ...) comes to in the steps of a learner's chain, with its noise off.

    Args:
        learner: as `ebm.apply.chain.Chain` asks for one; it is not changed.
    """
    chain = learner.settings.chain
    with at_rest(learner.networks):
        end, _ = langevin(
            learner.log_density,
            x,
            steps=steps,
            step_size=chain.step_size,
            temperature=0.0,
            bounds=chain.box,
            clip=chain.clip,
        )
    return end


def correlation(x: Tensor, y: Tensor) -> Tensor:
    """Return the correlation of x and y, (N, ...) each, over the values of each item: (N,)."""
    x, y = (each.flatten(1).double() for each in (x, y))
    x, y = (each - each.mean(1, keepdim=True) for each in (x, y))
    return (x * y).sum(1) / (x.norm(dim=1) * y.norm(dim=1))


def error(x: Tensor, y: Tensor) -> Tensor:
    """Return |x - y| / |x|, (N,), of x and y: (N, ...)."""
    x, y = (each.flatten(1).double() for each in (x, y))
    return (x - y).norm(dim=1) / x.norm(dim=1)


def expected(x: Tensor, sd: float) -> Tensor:
    """Return sqrt(1 - s^2 / Var x), (N,), of x: (N, ...): a chain's correlation about a mode."""
    return (1 - sd**2 / x.flatten(1).double().var(1, correction=0)).clamp(min=0).sqrt()
