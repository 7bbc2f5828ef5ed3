"""A network f(x) that grows: a block more at the front for twice the side."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ebm.networks.convnet import draw

REVISION = 1

SMALLEST = 4  # side of the map under the last layers
HALF = 2**-0.5  # a sum of two independent paths keeps the variance of one


class Halving(nn.Conv2d):
    """conv 3x3, then the average of 2x2, as one convolution 4x4 of stride 2: the same map.

    The average of a convolution is the convolution with the averaged kernel, shifted by 0 and 1
    each way: 16 products a pixel of the result where one after the other takes 36.
    """

    def __init__(self, inward: int, outward: int) -> None:
        super().__init__(inward, outward, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map x: (N, C, s, s) to (N, D, s / 2, s / 2)."""
        rows = F.pad(self.weight, (0, 0, 0, 1)) + F.pad(self.weight, (0, 0, 1, 0))
        kernel = (F.pad(rows, (0, 1)) + F.pad(rows, (1, 0))) / 4
        return F.conv2d(x, kernel, self.bias, stride=2, padding=1)


class Block(nn.Module):
    """(shortcut(x) + residual(x)) / sqrt 2, at half the side.

    residual: conv 3x3 -> SiLU -> conv 3x3 -> average of 2x2 -> SiLU; shortcut: average of 2x2 ->
    conv 1x1, which commute.

    Args:
        inward: channels of x.
        outward: channels of the result.
    """

    def __init__(self, inward: int, outward: int) -> None:
        super().__init__()
        self.shortcut = nn.Conv2d(inward, outward, 1)
        self.first = nn.Conv2d(inward, inward, 3, padding=1)
        self.second = Halving(inward, outward)

    def forward(self, x: Tensor) -> Tensor:
        """Map x: (N, C, s, s) to (N, D, s / 2, s / 2)."""
        h = F.silu(self.second(F.silu(self.first(x))))
        return HALF * (self.shortcut(F.avg_pool2d(x, 2)) + h)


class Expanding(nn.Module):
    """f(x) of a square image, and the features under it; grown from the network of half the side.

        h = (1 - alpha) from_rgb_half(pool(x)) + alpha block(from_rgb(x)),    alpha from 0 to 1
        f(x) = linear(SiLU(conv 4x4(SiLU(conv 3x3(blocks(h))))))

    With alpha = 0 a network that has just grown is the smaller one on the image at half its side.
    SiLU is smooth, as chains want f; no normalisation over the batch, which would couple them.

    Args:
        widths: channels of the maps of side 4, 8, 16 and so on; the last is the image's side.
        channels: of the image, 1 for grey, 3 for colour.
        grown: whether there is a smaller network to fade in from.

    Attributes:
        alpha: (), a buffer, so that it is saved; the averaged network has the last one.

    Raises:
        ValueError: there are fewer than two widths, or fewer than three where it has grown.

    Source: Zhao, Xie, Li, "Learning energy-based generative models via coarse-to-fine expanding and
    sampling", ICLR 2021; the fading of Karras et al., arXiv:1710.10196.

    >>> Expanding([8, 8, 4])(torch.zeros(5, 1, 16, 16)).shape
    torch.Size([5])
    """

    alpha: Tensor

    def __init__(self, widths: list[int], channels: int = 1, grown: bool = False) -> None:
        super().__init__()
        if len(widths) < 2 + grown:
            raise ValueError(
                f"widths is {widths}; it needs one for each side from 4 to the image's, "
                f"{2 + grown} or more"
            )
        sizes = [SMALLEST * 2**i for i in range(len(widths))]
        seen = list(zip(sizes, widths, strict=True))[-1 - grown :]
        self.size, self.grown = sizes[-1], grown
        self.from_rgb = nn.ModuleDict({str(s): nn.Conv2d(channels, w, 1) for s, w in seen})
        pairs = zip(sizes[1:], widths[1:], widths[:-1], strict=True)
        self.blocks = nn.ModuleDict({str(s): Block(wide, deep) for s, wide, deep in pairs})
        self.map = nn.Conv2d(widths[0], widths[0], 3, padding=1)
        self.top = nn.Conv2d(widths[0], widths[0], SMALLEST)
        self.head = nn.Linear(widths[0], 1)
        self.register_buffer("alpha", torch.tensor(0.0 if grown else 1.0))
        self.reset_parameters()
        # The layout makes chains faster (docs/speed.md); torch's stubs lack this overload.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def reset_parameters(self) -> None:
        """Draw the weights so that activations keep their size from layer to layer."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                draw(layer)
        self.head.reset_parameters()

    def grow_from(self, smaller: "Expanding") -> None:
        """Take the weights of the network of half the side, and see it alone: alpha is 0.

        Raises:
            ValueError: it is of another side, or this network has nothing to fade in from.
        """
        if 2 * smaller.size != self.size or not self.grown:
            raise ValueError(
                f"a network of side {self.size} cannot grow from one of side {smaller.size}; "
                "widths must be those of the stage below and one more"
            )
        own = self.state_dict()
        taken = {k: v for k, v in smaller.state_dict().items() if k in own}
        self.load_state_dict({**own, **taken, "alpha": torch.zeros_like(self.alpha)})

    def fade(self, updates: int) -> None:
        """Move alpha towards 1, where it is after so many calls; 0 moves it there at once."""
        self.alpha.add_(1 / updates if updates else 1).clamp_(max=1)

    def under(self, x: Tensor) -> Tensor:
        """Return the map of side 4, (N, D, 4, 4), of x: (N, C, H, W) in [-1, 1]."""
        h = self.blocks[str(self.size)](self.from_rgb[str(self.size)](x))
        if self.grown:
            half = self.size // 2
            low = self.from_rgb[str(half)](F.avg_pool2d(x, 2))
            h = (1 - self.alpha) * low + self.alpha * h
        for size, block in reversed(list(self.blocks.items())):
            h = h if int(size) == self.size else block(h)
        return h

    def last(self, h: Tensor) -> Tensor:
        """Return the activations of the last layer, (N, D), of the map of side 4."""
        return F.silu(self.top(F.silu(self.map(h)))).flatten(1)

    def features(self, x: Tensor) -> Tensor:
        """Return the map of side 4 and the last activations, (N, 17 D), of x: (N, C, H, W)."""
        h = self.under(x)
        return torch.cat([h.flatten(1), self.last(h)], 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x), (N,), of x: (N, C, H, W) in [-1, 1]."""
        return self.head(self.last(self.under(x))).squeeze(1)
