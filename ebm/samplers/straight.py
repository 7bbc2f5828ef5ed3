"""The gradient of f in x without a graph, for networks that are one layer after the other.

Each layer is differentiated by the kernel that autograd calls, in autograd's order, so that the
bits are autograd's. What is saved is the graph: nodes, views and checks at each of K steps.

A network is served if it says what it is: `in_turn()`, defined beside `forward`, returns the layers
that f is in turn; a number is a factor. Other layers than those of kernels.py, hooks,
parametrizations, autocast and other devices than a CPU are left to autograd.
"""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook

from ebm.energy import LogDensity, Tilt
from ebm.samplers.kernels import KNOWN, Layer

Slope = Callable[[Tensor], tuple[Tensor, Tensor]]

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


def straight(log_density: LogDensity, x: Tensor) -> Slope | None:
    """Return what maps x: (N, ...) to f, (N,), and its gradient; None where autograd is to do it.

    Args:
        log_density: f, tilted or not; it must stay as it is while the result is in use.
        x: the start of the chains: all states are of its type, device and layout.
    """
    f, sd = log_density, None
    if isinstance(log_density, Tilt):
        f, sd = log_density.f, log_density.sd
    if not isinstance(f, nn.Module) or not plain(f) or not fits(f, x):
        return None
    layers, axes = [], x.ndim
    for part in unfold(f):
        make = KNOWN.get(type(part))
        layer = make(part, axes) if make else None
        if layer is None:
            return None
        layers.append(layer)
        axes = part.start_dim + 1 if isinstance(part, nn.Flatten) else axes
    return partial(slope, layers, sd) if layers else None


def unfold(part: object) -> Iterator[object]:
    """Go through what a network is in turn, down to what is no sequence of others."""
    inner = part if type(part) is nn.Sequential else None
    if isinstance(part, nn.Module) and inner is None:
        owner = next(kind for kind in type(part).__mro__ if "forward" in vars(kind))
        if "in_turn" in vars(owner):  # a class that overrides forward alone is another network
            inner = part.in_turn()  # type: ignore[operator]
    if inner is None:
        yield part
        return
    for layer in inner:
        yield from unfold(layer)


def plain(network: nn.Module) -> bool:
    """Tell whether the modules run as their classes say: no hooks, nothing put in their place."""
    return not _has_any_global_hook() and not any(
        "forward" in vars(module)
        or module._compiled_call_impl is not None
        or any(getattr(module, hooks) for hooks in HOOKS)
        for module in network.modules()
    )


def fits(network: nn.Module, x: Tensor) -> bool:
    """Tell whether the kernels would see what they see under autograd, on a CPU."""
    switched = torch.is_autocast_enabled("cpu") or torch.is_inference_mode_enabled()
    dense = x.is_contiguous() or x.is_contiguous(
        memory_format=FORMATS.get(x.ndim, torch.contiguous_format)
    )
    return (
        len(x) > 1  # of one row autograd cannot tell the layout, and multiplies the other way round
        and (x.device.type == "cpu" and type(x) is Tensor and dense and not switched)
        and x.dtype in (torch.float32, torch.float64)
        and all(type(p) is nn.Parameter and p.dtype == x.dtype for p in network.parameters())
    )


@torch.no_grad()
def slope(layers: list[Layer], sd: float | None, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return f, (N,), with the reference N(0, sd^2 I) where sd is given, and its gradient in x."""
    kept, value = [], x
    for layer in layers:
        kept.append(value if layer.keeps else x)
        value = layer.forward(value)
    gradient = torch.ones_like(value)
    for layer in reversed(layers):
        gradient = layer.backward(gradient, kept.pop())
    if sd is None:
        return value, gradient
    row = x.flatten(1)
    value = value - row.square().sum(1) / (2 * sd**2)
    # Product and sum are rounded one after the other, as autograd's; add_'s alpha would fuse them.
    pull = -2 * (torch.ones((), dtype=x.dtype) / (2 * sd**2))
    return value, (row * pull).view(x.shape).add_(gradient)
