"""Layers and their derivatives in x, by the kernels that autograd calls for them."""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ebm.energy import LogSumExp

aten = torch.ops.aten


class Layer(NamedTuple):
    """A layer and its derivative.

    Attributes:
        forward: maps x to y.
        backward: maps the gradient in y, which it may overwrite, and x to the gradient in x.
        keeps: whether it looks at x.
    """

    forward: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]
    keeps: bool = True


def linear(layer: nn.Linear, axes: int) -> Layer | None:
    """Rows alone, (N, D)."""
    weight, bias = layer.weight.detach(), layer.bias
    made = Layer(lambda x: F.linear(x, weight, bias), lambda g, x: g.mm(weight), keeps=False)
    return made if axes == 2 else None


def convolution(layer: nn.Conv2d | nn.Conv3d, axes: int) -> Layer | None:
    """Batches, zeros around them."""
    forward: Any = F.conv2d if isinstance(layer, nn.Conv2d) else F.conv3d
    weight, bias = layer.weight.detach(), layer.bias
    moves, still = (layer.stride, layer.padding, layer.dilation), [0] * len(layer.stride)
    rest = (None if bias is None else [len(weight)], *moves, False, still, layer.groups)

    def backward(g: Tensor, x: Tensor) -> Tensor:
        found = aten.convolution_backward.default(g, x, weight, *rest, [True, False, False])
        return cast(Tensor, found[0])

    served = layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    if not served or axes != len(still) + 2:
        return None
    return Layer(lambda x: forward(x, weight, bias, *moves, layer.groups), backward)


def flatten(layer: nn.Flatten, axes: int) -> Layer | None:
    """All of an item, or all items."""
    made = Layer(layer.forward, lambda g, x: g.reshape(x.shape))
    return made if layer.start_dim in (0, 1) and layer.end_dim == -1 else None


def log_sum_exp(layer: LogSumExp, axes: int) -> Layer | None:
    """Over the values of a row, (N, C) -> (N,)."""

    def backward(g: Tensor, x: Tensor) -> Tensor:
        return g[:, None] * (x - x.logsumexp(1, keepdim=True)).exp()

    return Layer(layer.forward, backward) if axes == 2 else None


def activation(
    kernel: Any, settings: Callable[[Any], dict[str, Any]] = lambda layer: {}
) -> Callable[[Any, int], Layer | None]:
    """A number of its own for each; the kernel takes the gradient in y, x and the settings."""
    into, fresh = kernel.grad_input, kernel.default

    def make(layer: Any, axes: int) -> Layer | None:
        chosen = settings(layer)

        def backward(g: Tensor, x: Tensor) -> Tensor:
            if g.stride() == x.stride():
                return cast(Tensor, into(g, x, **chosen, grad_input=g))
            return cast(Tensor, fresh(g, x, **chosen))

        return None if getattr(layer, "inplace", False) else Layer(layer.forward, backward)

    return make


KNOWN: dict[type, Callable[[Any, int], Layer | None]] = {
    nn.Linear: linear,
    nn.Conv2d: convolution,
    nn.Conv3d: convolution,
    nn.Flatten: flatten,
    LogSumExp: log_sum_exp,
    float: lambda number, axes: Layer(lambda x: number * x, lambda g, x: g.mul_(number), False),
    nn.SiLU: activation(aten.silu_backward),
    nn.ReLU: activation(aten.threshold_backward, lambda layer: {"threshold": 0}),
    nn.GELU: activation(aten.gelu_backward, lambda layer: {"approximate": layer.approximate}),
    nn.Softplus: activation(
        aten.softplus_backward, lambda layer: {"beta": layer.beta, "threshold": layer.threshold}
    ),
    nn.LeakyReLU: activation(
        aten.leaky_relu_backward,
        lambda layer: {"negative_slope": layer.negative_slope, "self_is_result": False},
    ),
}
