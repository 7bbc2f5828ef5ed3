"""What every sampler refuses, each in one sentence, before a chain is begun."""

import math

import torch
from torch import Tensor


def check(
    x: Tensor,
    steps: int,
    *,
    held: Tensor | None = None,
    bounds: tuple[float, float] | None = None,
    clip: float | None = None,
    keep: int = 0,
) -> None:
    """Check the settings that all samplers share; values on the device are not read.

    Args:
        x: (N, ...), the start of the chains, one or more.
        steps: 0 or more.
        held: boolean, broadcastable to x.
        bounds: (low, high), low below high.
        clip: above 0.
        keep: 0 or more.

    Raises:
        ValueError: one of them is not so.
    """
    if x.ndim < 2 or not x.is_floating_point():
        raise ValueError(f"x is {x.dtype} of shape {tuple(x.shape)}; it must be floats, (N, ...)")
    if not x.shape[0]:
        raise ValueError(f"x has shape {tuple(x.shape)}; there must be one chain or more")
    if steps < 0:
        raise ValueError(f"steps is {steps}; it must be 0 or more")
    if keep < 0:
        raise ValueError(f"keep is {keep}; it must be 0 (nothing is kept) or more")
    if clip is not None and not clip > 0:
        raise ValueError(f"clip is {clip}; it must be positive, or None for no clip")
    if bounds is not None and not bounds[0] < bounds[1]:
        raise ValueError(f"bounds is {bounds}; low must be below high")
    if held is not None:
        check_held(x, held)


def check_held(x: Tensor, held: Tensor) -> None:
    """Check that `held` is boolean and fits x.

    Raises:
        ValueError: it is not.
    """
    if held.dtype != torch.bool:
        raise ValueError(f"held is {held.dtype}; it must be boolean, True where x stays as it is")
    try:
        fits = torch.broadcast_shapes(held.shape, x.shape) == x.shape
    except RuntimeError:
        fits = False
    if not fits:
        raise ValueError(
            f"held has shape {tuple(held.shape)}; it must broadcast to {tuple(x.shape)}"
        )


def check_value(value: Tensor, x: Tensor) -> None:
    """Check that a log density of x: (N, ...) is (N,): one value a chain.

    Raises:
        ValueError: it is not.
    """
    if value.shape != x.shape[:1]:
        raise ValueError(
            f"log_density returned shape {tuple(value.shape)} for x of shape {tuple(x.shape)}; "
            f"it must return one value a chain, ({len(x)},)"
        )


def check_precise(x: Tensor) -> None:
    """Check that differences of log densities can be told in the type of x.

    Raises:
        ValueError: it has 16 bits or fewer.
    """
    if x.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"x is {x.dtype}; chains that are accepted or refused need float32 or float64"
        )


def check_positive(name: str, value: float | Tensor) -> None:
    """Check that a setting is a positive number; a tensor is left unread, on its device.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(value, Tensor) and not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{name} is {value}; it must be positive")
