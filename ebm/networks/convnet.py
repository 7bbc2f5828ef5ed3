"""Convolutional networks f(x) for square images."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

REVISION = 2

ITERATIONS = 15  # of torch's spectral_norm, when it is put on
GAIN = 1.67  # 1 / sqrt(E[SiLU(z)^2]) of a standard normal z


class ConvNet(nn.Module):
    """f(x) of a square image, and the features under it.

    [conv 4x4 stride 2, width channels, then doubled] down to 2x2 -> conv 2x2 -> linear, with SiLU
    between; a 2x2 image begins with a conv 3x3. With strides from the first layer, as in the paper,
    a chain's step takes 0.6 of the time that it takes with a first layer at full size, at equal
    quality. No normalisation: it would couple the chains of a batch.

    Args:
        size: side of the image in pixels, a power of two, 2 or more.
        channels: 1 for grey, 3 for colour.
        width: channels after the first convolution.
        widest: the most channels of a layer; None lets them double down to the 2x2 map.
        head_scale: the last layer's first weights are multiplied by it; with 0, f is 0 at first.
        outputs: numbers an image; of more than one, f_1, ..., f_C, f(x) is (N, C).

    Raises:
        ValueError: size is not a power of two of at least 2, or widest is below width.

    Source: the network of multigrid learning, arXiv:1709.08868, section 3, at these sizes.

    >>> ConvNet(size=8, width=4)(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5])
    """

    def __init__(
        self,
        size: int,
        channels: int = 1,
        width: int = 32,
        widest: int | None = None,
        head_scale: float = 1.0,
        outputs: int = 1,
    ) -> None:
        super().__init__()
        if size < 2 or size & (size - 1):
            raise ValueError(f"the image size is {size}; it must be a power of two, 2 or more")
        if widest is not None and widest < width:
            raise ValueError(f"widest is {widest}; it must be width, {width}, or more")
        layers: list[nn.Module] = []
        inward = channels
        if size == 2:
            layers, inward = [nn.Conv2d(channels, width, 3, padding=1), nn.SiLU()], width
        while size > 2:
            layers += [nn.Conv2d(inward, width, 4, stride=2, padding=1), nn.SiLU()]
            size, inward, width = size // 2, width, min(2 * width, widest or 2 * width)
        self.body = nn.Sequential(*layers)
        self.top = nn.Sequential(nn.Conv2d(inward, inward, 2), nn.SiLU(), nn.Flatten())
        self.head, self.head_scale = nn.Linear(inward, outputs), head_scale
        self.reset_parameters()
        # The layout makes chains faster (docs/speed.md); torch's stubs lack this overload.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def reset_parameters(self) -> None:
        """Draw the weights so that activations keep their size from layer to layer.

        As torch draws them, each layer passes on a third of what varies: after five, an image of 32
        pixels moves f by a thousandth, and learning starts with a network that is nearly linear.
        """
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                draw(layer)
        self.head.reset_parameters()
        with torch.no_grad():
            self.head.weight.mul_(self.head_scale)
            self.head.bias.mul_(self.head_scale)

    def features(self, x: Tensor) -> Tensor:
        """Return the activations of the last two layers, (N, 5 D), of x: (N, C, H, W) in [-1, 1].

        The 2x2 map keeps what the last layer, shaped by one number alone, has thrown away: on
        digits a linear classifier errs half as often on both as on the last.
        """
        under = self.body(x)
        return torch.cat([under.flatten(1), self.top(under)], 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x), (N,) or (N, outputs), of x: (N, C, H, W) in [-1, 1]."""
        return self.head(self.top(self.body(x))).squeeze(1)

    def in_turn(self) -> list[nn.Module]:
        """Return the layers that `forward` is in turn."""
        single = self.head.out_features == 1
        return [self.body, self.top, self.head, *([nn.Flatten(0)] if single else [])]


def draw(layer: nn.Conv2d) -> None:
    """Draw a convolution's weights; under spectral normalisation those that it divides.

    `layer.weight` is then computed at each look, and what is written into it is lost. The singular
    vectors are found for the new weights, by as many power iterations as at the normalisation.
    """
    std = GAIN / layer.weight[0].numel() ** 0.5
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    if not is_parametrized(layer, "weight"):
        nn.init.normal_(layer.weight, std=std)
        return
    weight: Any = layer.parametrizations["weight"]  # type: ignore[index]
    nn.init.normal_(weight.original, std=std)
    mode = weight.training
    weight.train()
    with torch.no_grad():
        for _ in range(ITERATIONS):
            weight()
    weight.train(mode)
