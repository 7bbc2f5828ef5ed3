"""Top-down networks g(z), and the Gaussian likelihood of what they make.

p(x | z) = N(x; g(z), sd^2 I),    z: (N, d),    x: (N, ...)
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

REVISION = 1

SLOPE = 0.2  # of the leaky ReLU


class ImageGenerator(nn.Module):
    """g(z): (N, C, s, s) in (-1, 1) of z: (N, d): [transposed convolution -> leaky ReLU], tanh.

    The first layer makes a map of side `base`; each further one doubles the side. Where `widths`
    has one entry more than there are doublings, a last 3x3 convolution reads the finest map; where
    it has as many, the last doubling makes the image. No normalisation: it would couple the chains
    of a batch.

    Args:
        latent: d.
        size: s, base times a power of two.
        channels: C, 1 for grey, 3 for colour.
        base: side of the first map.
        widths: channels of each map, from the first.

    Source: the generators of Pang, Han, Nijkamp, Zhu, Wu, arXiv:2006.08205.

    >>> ImageGenerator(latent=3, size=8, channels=1, base=4, widths=[6])(torch.zeros(5, 3)).shape
    torch.Size([5, 1, 8, 8])
    """

    def __init__(
        self, latent: int, size: int, channels: int, base: int, widths: Sequence[int]
    ) -> None:
        super().__init__()
        doublings = int(math.log2(size // base))
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent, widths[0], base)]
        outs = [*widths[1:], channels] if len(widths) == doublings else widths[1:]
        for inward, outward in zip(widths, outs, strict=False):
            layers += [nn.LeakyReLU(SLOPE), nn.ConvTranspose2d(inward, outward, 4, 2, 1)]
        if len(widths) > doublings:
            layers += [nn.LeakyReLU(SLOPE), nn.Conv2d(widths[-1], channels, 3, padding=1)]
        self.body = nn.Sequential(*layers, nn.Tanh())
        for layer in self.body:
            if isinstance(layer, nn.ConvTranspose2d | nn.Conv2d):
                nn.init.xavier_normal_(layer.weight)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, z: Tensor) -> Tensor:
        """Return g(z), (N, C, s, s), of z: (N, d)."""
        x: Tensor = self.body(z[:, :, None, None])
        return x


class DenseGenerator(nn.Module):
    """g(z), (N, ...), of z: (N, d): [linear -> SiLU] a width, then linear; no widths: linear alone.

    Args:
        latent: d.
        shape: of an item: (D,), or (C, H, W).
        widths: units of each hidden layer.
        bounded: whether tanh keeps g within (-1, 1), as images are.

    >>> DenseGenerator(latent=2, shape=(1, 4, 4), widths=[])(torch.zeros(5, 2)).shape
    torch.Size([5, 1, 4, 4])
    """

    def __init__(
        self, latent: int, shape: Sequence[int], widths: Sequence[int], bounded: bool = False
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inward = latent
        for width in widths:
            layers += [nn.Linear(inward, width), nn.SiLU()]
            inward = width
        layers += [nn.Linear(inward, math.prod(shape)), *([nn.Tanh()] if bounded else [])]
        self.body = nn.Sequential(*layers, nn.Unflatten(1, tuple(shape)))

    def forward(self, z: Tensor) -> Tensor:
        """Return g(z), (N, ...), of z: (N, d)."""
        x: Tensor = self.body(z)
        return x


class GaussianDecoder(nn.Module):
    """p(x | z) = N(x; g(z), sd^2 I).

    Args:
        g: maps (N, d) to (N, ...).
        sd: in the units of x.
    """

    def __init__(self, g: nn.Module, sd: float) -> None:
        super().__init__()
        self.g, self.sd = g, sd

    def log_likelihood(self, x: Tensor, z: Tensor, seen: Tensor | None = None) -> Tensor:
        """Return log p(x | z), (N,), the sum over the values of an item.

        Args:
            x: (N, ...).
            z: (N, d).
            seen: like x, or to be broadcast: True where a value counts; None is everywhere.
        """
        away = (x - self.g(z)) / self.sd
        if seen is not None:
            away = torch.where(seen, away, 0)
        many = math.prod(x.shape[1:]) if seen is None else seen.expand(x.shape).flatten(1).sum(1)
        constant = many * (math.log(2 * math.pi) / 2 + math.log(self.sd))
        return -away.flatten(1).square().sum(1) / 2 - constant

    def decode(self, z: Tensor, seeds: Sequence[int] | None = None) -> Tensor:
        """Return the mean g(z), (N, ...); it is the same for all seeds."""
        x: Tensor = self.g(z)
        return x
