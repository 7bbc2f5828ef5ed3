"""The sign of f and the reference q, written once for every system.

    p(x) = exp(f(x)) q(x) / Z

f is high on data. `energy` always means -f. A network maps (N, ...) to f of shape (N,).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

REVISION = 1

LogDensity = Callable[[Tensor], Tensor]
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Tilt:
    """x -> f(x) - |x|^2 / (2 sd^2), (N,); made by `tilt`."""

    f: LogDensity
    sd: float

    def __call__(self, x: Tensor) -> Tensor:
        """Return it of x: (N, ...)."""
        return self.f(x) - x.flatten(1).square().sum(1) / (2 * self.sd**2)


@dataclass(frozen=True)
class Rounded:
    """f in bfloat16, its value in the type of x; made by `in_precision`."""

    f: LogDensity

    def __call__(self, x: Tensor) -> Tensor:
        """Return it of x: (N, ...)."""
        with torch.autocast(x.device.type, torch.bfloat16, cache_enabled=False):
            return self.f(x).to(x.dtype)


class LogSumExp(nn.Module):
    """f_1, ..., f_C, (N, C), -> log sum_c exp f_c, (N,): the sum of C unnormalised densities."""

    def forward(self, x: Tensor) -> Tensor:
        """Return it of x: (N, C)."""
        return x.logsumexp(1)


def tilt(f: LogDensity, sd: float | None = None) -> LogDensity:
    """Return x -> f(x) + log q(x) up to a constant: the exponential tilting of a reference.

    Args:
        f: maps (N, ...) to (N,).
        sd: standard deviation of a Gaussian q = N(0, sd^2 I), in the units of x;
            None is the uniform reference, whose log density is constant.

    Raises:
        ValueError: sd is not positive.

    Source: Xie, Lu, Zhu, Wu, "A Theory of Generative ConvNet", arXiv:1602.03264, eq. 3.
    """
    if sd is None:
        return f
    if sd <= 0:
        raise ValueError(f"the reference's sd is {sd}; it must be positive")
    return Tilt(f, sd)


def in_precision(log_density: LogDensity, precision: Precision) -> LogDensity:
    """Return log_density with its matrix products and convolutions in a precision.

    x, the value and the gradient keep the type of x. bfloat16 keeps 8 bits of what is multiplied,
    so that a gradient is off by less than a hundredth of its norm; parameters stay as they are.

    Args:
        log_density: maps (N, ...) to (N,); not of a network under spectral normalisation, whose
            singular value would be rounded too.
        precision: float32 changes nothing, not even where autocast is on already.

    Raises:
        ValueError: there is no such precision.
    """
    if precision == "float32":
        return log_density
    if precision != "bfloat16":
        raise ValueError(f"precision is {precision!r}; it must be 'float32' or 'bfloat16'")

    return Rounded(log_density)


@contextmanager
def frozen(network: nn.Module) -> Iterator[nn.Module]:
    """Hold the parameters fixed, so that a chain builds no graph to them."""
    learned = [p for p in network.parameters() if p.requires_grad]
    for p in learned:
        p.requires_grad_(False)
    try:
        yield network
    finally:
        for p in learned:
            p.requires_grad_(True)


def contrast(f_data: Tensor, f_samples: Tensor, decay: float = 0.0) -> Tensor:
    """The loss whose descent ascends the likelihood.

        L(theta) = mean f(samples) - mean f(data) + decay mean(f(data)^2 + f(samples)^2)

    Its gradient at decay 0 is minus E_data[grad_theta f] + E_model[grad_theta f].

    Args:
        f_data: (N,), f on data.
        f_samples: (M,), f on the chains' end states, which are constants.
        decay: weight of the squared energies; it keeps f near zero, where its level is free.
    """
    loss = f_samples.mean() - f_data.mean()
    if decay:
        loss = loss + decay * (f_data.square().mean() + f_samples.square().mean())
    return loss
