"""Residual networks f(x, t) of square images and noise levels."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ebm.networks.convnet import draw

REVISION = 1

Codes = Literal["waves", "unit"]
SLOPE = 0.2  # of the leaky ReLU
PERIOD = 10000.0  # the longest wave of the embedding, over 2 pi


class TimeResNet(nn.Module):
    """f(x, t) of a square image x at noise level t, one network for all levels.

        f(x, t) = < sum over positions of ReLU(h(x, t)),  W e(t) >

    h is a first convolution, then residual blocks that see the embedding e(t), averaged to half the
    side between one width and the next. The sum, and no mean, lets the gradient in x reach the size
    of the noise. A block adds nothing at first (its gain is 0), and W is 0: f is 0 at first. No
    normalisation: it would couple the chains of a batch.

    Args:
        channels: 1 for grey, 3 for colour.
        width: channels after the first convolution.
        multiples: width of each part, in multiples of `width`; the side is halved between parts.
        blocks: residual blocks of a part.
        levels: number of noise levels; t is in 0, ..., levels - 1.
        stride: of the first convolution: 1, or 2, a quarter of the cost of a step.
        codes: what e(t) is made of. `waves`: sines and cosines of t through two layers, as
            published; where t runs from 0 to 5 they hardly differ, and nor do the W e(t). `unit`:
            the t-th unit vector, so that W e(t) is a column of W, each level's own.

    Source: Gao, Song, Poole, Wu, Kingma, arXiv:2012.08125, appendix B.1.

    >>> TimeResNet(1, 4, [1, 2], 1, levels=6)(torch.zeros(3, 1, 8, 8), torch.arange(3)).shape
    torch.Size([3])
    """

    def __init__(
        self,
        channels: int,
        width: int,
        multiples: Sequence[int],
        blocks: int,
        levels: int,
        stride: int = 1,
        *,
        codes: Codes = "waves",
    ) -> None:
        super().__init__()
        seen = 4 * width if codes == "waves" else levels
        code = waves(levels, width) if codes == "waves" else torch.eye(levels)
        self.register_buffer("codes", code, persistent=False)
        self.embed: nn.Module = nn.Identity()
        if codes == "waves":
            self.embed = nn.Sequential(nn.Linear(width, seen), nn.SiLU(), nn.Linear(seen, seen))
        kernel = 3 if stride == 1 else 4
        self.stem = nn.Conv2d(channels, width, kernel, stride, padding=1)
        widths = [width, *(m * width for m in multiples for _ in range(blocks))]
        self.blocks = nn.ModuleList(
            Block(a, b, seen) for a, b in zip(widths, widths[1:], strict=False)
        )
        self.halved = set(range(blocks, len(multiples) * blocks, blocks))  # before these blocks
        self.head = nn.Linear(seen, widths[-1], bias=False)
        self.draw_kernels()
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        for layer in self.modules():
            if isinstance(layer, nn.Linear | Block):
                layer.reset_parameters()
        self.draw_kernels()

    def draw_kernels(self) -> None:
        """Draw the convolutions so that activations keep their size; f is 0."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                draw(layer)
        nn.init.zeros_(self.head.weight)

    def hidden(self, x: Tensor, e: Tensor) -> Tensor:
        """Return ReLU(h), (N, D, h, h), of x: (N, C, H, W) and embeddings e: (N, E)."""
        h, e = self.stem(x), F.silu(e)
        for place, block in enumerate(self.blocks):
            if place in self.halved:
                h = F.avg_pool2d(h, 2)
            h = block(h, e)
        return F.relu(h)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Return f(x, t), (N,), of x: (N, C, H, W) and levels t: (N,), integers."""
        e = self.embed(self.codes[t])  # type: ignore[index]
        return (self.hidden(x, e).sum((2, 3)) * self.head(F.silu(e))).sum(1)

    def features(self, x: Tensor) -> Tensor:
        """Return means over quarters of the last map at level 0, (N, 4 D), of x: (N, C, H, W)."""
        e = self.embed(self.codes[x.new_zeros(len(x), dtype=torch.long)])  # type: ignore[index]
        return F.adaptive_avg_pool2d(self.hidden(x, e), 2).flatten(1)


class Block(nn.Module):
    """h -> skip(h) + gain conv(act(conv(act(h)) + dense(e))), the gain a number for each channel.

    Args:
        inward, outward: channels of h and of the result.
        seen: width of the embedding.
    """

    def __init__(self, inward: int, outward: int, seen: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inward, outward, 3, padding=1)
        self.dense = nn.Linear(seen, outward)
        self.second = nn.Conv2d(outward, outward, 3, padding=1)
        self.skip = nn.Identity() if inward == outward else nn.Conv2d(inward, outward, 1)
        self.gain = nn.Parameter(torch.zeros(outward, 1, 1))

    def reset_parameters(self) -> None:
        """Let the block add nothing."""
        nn.init.zeros_(self.gain)

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        """Return the next h, (N, outward, h, h), of h: (N, inward, h, h) and e: (N, seen)."""
        inner = self.first(F.leaky_relu(h, SLOPE)) + self.dense(e)[:, :, None, None]
        return self.skip(h) + self.gain * self.second(F.leaky_relu(inner, SLOPE))


def waves(levels: int, width: int) -> Tensor:
    """Return sines and cosines of t = 0, ..., levels - 1 at falling frequencies, (levels, width).

    Raises:
        ValueError: width is odd.
    """
    if width % 2:
        raise ValueError(f"width is {width}; it must be even: sines and cosines share it")
    half = width // 2
    frequency = torch.exp(-math.log(PERIOD) * torch.arange(half) / max(1, half - 1))
    angle = torch.arange(levels)[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], 1)
