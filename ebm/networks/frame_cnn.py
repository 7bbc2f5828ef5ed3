"""FRAME over filters of a trained CNN: a layer given, one linear layer learned (S03).

    f(I) = sum_k sum_x w_k(x) F_k(I)(x)

with F_k the rectified maps of layers of VGG-16 (ebm/networks/vgg.py). Homogeneous, for
textures, w_k is the same at every x; otherwise, for aligned objects, each position has its own.

What multiplies w is a statistic with the data's mean taken off and divided by its sd, so that a
step of learning means the same for each. With N_0 the positions of a map at the size learned:

    homogeneous   z_k    = sum_x ( F_k(x) - m_k ) / (N_0 s_k),  m, s of the mean over x
    otherwise     z_k(x) = ( F_k(x) - m_k(x) ) / s_k(x)

Source: Lu, Zhu, Wu, "Learning FRAME models using CNN filters", AAAI 2016, arXiv:1509.08379; the
smooth filters: De Bortoli, Desolneux, Durmus, Galerne, Leclaire, arXiv:1911.04142.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ebm.networks.colour import Colour
from ebm.networks.vgg import Trunk, read_filters

REVISION = 1

BATCH = 16  # images whose statistics are computed at once
NOISE = 20  # filters of noise that samples are judged by
FLOOR = 0.1  # least sd of a statistic, as a share of the root mean square over its layer's map


class FrameCNN(nn.Module):
    """f(I), linear in statistics of fixed filters.

    Until `observe` has looked at the data the filters are random, and m = 0, s = 1.

    Args:
        size: side of the images learned from; of a homogeneous f images of other sizes may follow.
        channels: 1 for grey, which is repeated to three, or 3.
        layers: of VGG-16, by name; what is learned stands on all of them.
        unfitted: other layers, whose maps samples are judged by, too.
        homogeneous: one weight a filter, or one a filter and position.
        activation, pooling, padding: of the trunk, see there.
        weights, sha256: the file of the filters, and what its sha256 must be; None leaves them
            random.
        head_scale: size of w at first; 0: f is 0.

    Raises:
        ValueError: a layer does not exist, or the image is too small for it.

    >>> FrameCNN(8, 1, ["conv1_1"], homogeneous=True)(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5])
    """

    m: Tensor
    s: Tensor

    def __init__(
        self,
        size: int,
        channels: int,
        layers: Sequence[str],
        homogeneous: bool,
        *,
        unfitted: Sequence[str] = (),
        activation: str = "relu",
        pooling: str = "max",
        padding: str = "constant",
        weights: str | None = None,
        sha256: str = "",
        head_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.size, self.channels, self.homogeneous = size, channels, homogeneous
        self.weights, self.sha256, self.head_scale = weights, sha256, head_scale
        self.trunk = Trunk([*layers, *unfitted], activation, pooling, padding)
        self.layers, self.unfitted = tuple(layers), tuple(unfitted)
        self.sizes = self.trunk.sizes(size)[: len(layers)]
        count = sum(width if homogeneous else width * side**2 for width, side in self.sizes)
        self.register_buffer("m", torch.zeros(count))
        self.register_buffer("s", torch.ones(count))
        self.colour = Colour(size)
        self.head = nn.Linear(count, 1, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw w; filters that were read stay."""
        nn.init.normal_(self.head.weight, std=self.head_scale * self.head.in_features**-0.5)

    @torch.no_grad()
    def observe(self, x: Tensor) -> None:
        """Read the filters, and take m and s of all training data x: (M, C, H, W).

        Raises:
            ValueError: the file of the filters is missing or another one.
        """
        if self.weights is not None:
            self.trunk.take(read_filters(Path(self.weights), self.sha256))
        self.colour.observe(x)
        rows = torch.cat([self.statistics(part) for part in x.split(BATCH)])
        self.m.copy_(rows.mean(0))
        self.s.copy_(self.floored(rows.std(0)))

    def floored(self, sd: Tensor) -> Tensor:
        """Return the sds (D,) of the statistics, none much below those of its layer.

        What hardly varies over the data would otherwise weigh like what does.
        """
        counts = [w if self.homogeneous else w * side**2 for w, side in self.sizes]
        least = [FLOOR * part.square().mean().sqrt() for part in sd.split(counts)]
        parts = zip(sd.split(counts), least, strict=True)
        return torch.cat([part.clamp(min=max(float(low), 1e-6)) for part, low in parts])

    def statistics(self, x: Tensor) -> Tensor:
        """Return what is observed of x: (N, C, H, W): (N, D), means over x or all values."""
        maps = self.trunk(x, self.layers)
        rows = [each.mean((2, 3)) if self.homogeneous else each.flatten(1) for each in maps]
        return torch.cat(rows, 1)

    def features(self, x: Tensor) -> Tensor:
        """Return the statistics z, (N, D), of x: (N, C, H, W) in [-1, 1]."""
        share = x.shape[2] * x.shape[3] / self.size**2 if self.homogeneous else 1.0
        return (self.statistics(x) - self.m) * (share / self.s)

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x), (N,), of x: (N, C, H, W) in [-1, 1]."""
        return self.head(self.features(x)).squeeze(1)

    def views(self) -> dict[str, Callable[[Tensor], Tensor]]:
        """Return filter banks to judge samples by: those fitted, others, and filters of noise."""
        noise = torch.randn(NOISE, 1, 7, 7, generator=torch.Generator().manual_seed(0))
        noise -= noise.mean((2, 3), keepdim=True)
        return {
            "fitted": partial(self.responses, self.layers),
            **({"unfitted": partial(self.responses, self.unfitted)} if self.unfitted else {}),
            "noise": lambda x: F.conv2d(x.mean(1, keepdim=True), noise.to(x.device)),
        }

    def responses(self, layers: Sequence[str], x: Tensor) -> Tensor:
        """Return the maps of layers, (N, K, h, w), of x, the smaller ones enlarged to the largest.

        Values are repeated: a histogram over positions, or a mean over images, is that of the map.
        """
        maps = self.trunk(x, layers)
        side = max(each.shape[2] for each in maps)
        return torch.cat([F.interpolate(m, scale_factor=side // m.shape[2]) for m in maps], 1)
