"""Small changes of x that a classifier errs on: projected gradient ascent of its cross entropy.

    d  <-  project( d + a direction( grad_d -log p(y | x + d) ) ),    |d| <= size

in the L2 norm (direction: the gradient over its norm) or the largest component's (its sign), x + d
within the data's range. a = 2.5 size / steps, so that the whole ball can be reached. The accuracy
that is left is an upper bound: a stronger attack may find more.

Source: Madry, Makelov, Schmidt, Tsipras, Vladu, arXiv:1706.06083; their size and steps by name.
"""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

REVISION = 1

REACH = 2.5  # how far the steps go together, over the size
LEAST = 1e-12  # norm below which a gradient has no direction

Norm = Literal["l2", "linf"]


def attack(
    scores: Callable[[Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    *,
    size: float,
    norm: Norm,
    steps: int,
) -> Tensor:
    """Return x changed, (N, ...) in [-1, 1]: the first change that is erred on, else the last.

    Args:
        scores: maps (N, ...) to scores of the classes, (N, C); each of its own x alone.
        x: (N, ...) in [-1, 1].
        y: (N,), the classes that are right.
        size: of the ball, in units of x: the norm of all of d, or of its largest component.
        norm: l2 or linf.
        steps: of the ascent, 1 or more.

    Raises:
        ValueError: size is negative, or there are no steps.
    """
    if size < 0 or steps < 1:
        raise ValueError(f"size is {size} and steps is {steps}; give 0 or more, and 1 or more")
    d, found = torch.zeros_like(x), x.clone()
    fooled = torch.zeros(len(x), dtype=torch.bool)
    for _ in range(steps if size else 0):
        gradient = slope(scores, x + d, y)
        d = project(d + REACH * size / steps * direction(gradient, norm), size, norm)
        d = (x + d).clamp(-1, 1) - x
        found = torch.where(column(fooled, x), found, x + d)
        with torch.no_grad():
            fooled |= scores(found).argmax(1) != y
    return found


def slope(scores: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    """Return the gradient of -log p(y | x) in x, (N, ...), each row's of its own."""
    with torch.enable_grad():
        x = x.detach().requires_grad_(True)
        return torch.autograd.grad(F.cross_entropy(scores(x), y, reduction="sum"), x)[0]


def direction(gradient: Tensor, norm: Norm) -> Tensor:
    """Return the steepest direction of length 1 in the norm, (N, ...)."""
    return gradient.sign() if norm == "linf" else gradient / length(gradient)


def project(d: Tensor, size: float, norm: Norm) -> Tensor:
    """Return d: (N, ...), brought back to the ball."""
    return d.clamp(-size, size) if norm == "linf" else d * (size / length(d)).clamp(max=1)


def length(d: Tensor) -> Tensor:
    """Return the L2 norm of each row of d: (N, ...), as a column, above 0."""
    return column(d.flatten(1).norm(dim=1).clamp(min=LEAST), d)


def column(values: Tensor, x: Tensor) -> Tensor:
    """Return values, (N,), shaped to be broadcast over the rows of x: (N, ...)."""
    return values.reshape(-1, *[1] * (x.ndim - 1))
