"""FRAME: fixed filters, learned potentials.

    f(I) = sum_k sum_x lambda_k( <I, B_{k,x}> )

Homogeneous: one potential a filter, the same at every position x, for textures of any size.
Inhomogeneous: a weight at every position, f(I) = sum_k sum_x w_{k,x} |<I, B_{k,x}>|, for aligned
objects. Responses are in units of their standard deviation over the data.

A potential is a `histogram` (a value at each of B knots, linear between them: the learned
statistics are histograms with triangular bins) or `rectified`, w |r|.

GRADE reads the gradient in I as reaction and diffusion: where lambda_k is highest at 0, its filter
smooths; where it is lowest there, its filter forms patterns.

Source: Zhu, Wu, Mumford, "Filters, Random Fields and Maximum Entropy", IJCV 1998; Zhu, Mumford,
"GRADE: Gibbs Reaction And Diffusion Equations", ICCV 1998; Xie, Hu, Zhu, Wu, "Learning
Inhomogeneous FRAME Models for Object Patterns", CVPR 2014.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ebm.networks.colour import Colour
from ebm.networks.filters import Responses, bank, soft, views

REVISION = 1

SPAN = 4.0  # knots lie within plus or minus so many standard deviations; beyond, the last one holds


class Frame(nn.Module):
    """f(I) as above, 0 at first.

    Args:
        size: side of the pictures that are learned from.
        scales, orientations: of the filters (`ebm.networks.filters.bank`).
        potential: `histogram` or `rectified`.
        knots: of a histogram's potential.
        homogeneous: the same potential everywhere.

    Raises:
        ValueError: a weight a position is asked for with a histogram.

    >>> Frame(8, [0.25], 2)(torch.zeros(3, 1, 8, 8)).shape
    torch.Size([3])
    """

    sd: Tensor
    span = SPAN

    def __init__(
        self,
        size: int,
        scales: Sequence[float],
        orientations: int,
        potential: Literal["histogram", "rectified"] = "histogram",
        knots: int = 17,
        homogeneous: bool = True,
    ) -> None:
        super().__init__()
        if not homogeneous and potential == "histogram":
            raise ValueError("potential is 'histogram' and homogeneous is False; give 'rectified'")
        self.scales, self.orientations = list(scales), orientations
        made = bank(self.scales, orientations)
        self.names, self.potential, self.homogeneous = made.names, potential, homogeneous
        self.responses = Responses(made.square())
        self.rims = [len(each) // 2 for each in made.filters]
        count = len(self.names)
        shape = (count, knots) if potential == "histogram" else (count,)
        self.weight = nn.Parameter(torch.zeros(shape if homogeneous else (count, size, size)))
        self.register_buffer("sd", torch.ones(count))
        self.colour = Colour(size)

    def reset_parameters(self) -> None:
        """Let f be 0."""
        nn.init.zeros_(self.weight)

    def observe(self, x: Tensor) -> None:
        """Take the unit of each filter's response, and the spectrum, from x: (M, 1, H, W)."""
        self.colour.observe(x)
        self.sd.copy_(self.responses(x).std((0, 2, 3)))

    def scaled(self, x: Tensor) -> Tensor:
        """Return responses in units of their deviation over the data, (N, K, H, W)."""
        return self.responses(x, 1 / self.sd)

    def statistics(self, x: Tensor) -> Tensor:
        """Return H, (N, ...), whose weighted sum f is: what learning matches."""
        r = self.scaled(x)
        if self.potential == "rectified":
            size = soft(r)
            return size.sum((2, 3)) if self.homogeneous else size
        low, share = self.place(r)
        bins = torch.zeros(*r.shape[:2], self.weight.shape[1]).to(r)
        for at, part in ((low, 1 - share), (low + 1, share)):
            bins.scatter_add_(2, at.flatten(2), part.flatten(2))
        return bins

    def place(self, r: Tensor) -> tuple[Tensor, Tensor]:
        """Return the knot below each response, and how far it is on the way to the next."""
        last = self.weight.shape[1] - 1
        along = torch.add(last / 2, r, alpha=last / (2 * SPAN)).clamp(0, last)
        low = along.detach().long().clamp_(0, last - 1)  # what is not finite stays so in `share`
        return low, along - low

    def potentials(self, r: Tensor) -> Tensor:
        """Return lambda_k(r), (N, K, H, W), of scaled responses."""
        if self.potential == "rectified":
            w = self.weight[:, None, None] if self.homogeneous else self.inner()
            return w * soft(r)
        low, share = self.place(r)
        first = torch.arange(0, self.weight.numel(), self.weight.shape[1], device=r.device)
        low += first[:, None, None]
        steps = F.pad(self.weight.diff(dim=1), (0, 1))
        return torch.addcmul(self.weight.take(low), steps.take(low), share)

    def inner(self) -> Tensor:
        """Return the weights by position, 0 where a filter would reach over the edge."""
        size = self.weight.shape[-1]
        mask = torch.zeros_like(self.weight)
        for k, rim in enumerate(self.rims):
            mask[k, rim : size - rim, rim : size - rim] = 1
        return self.weight * mask

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x), (N,), of grey pictures x: (N, 1, H, W)."""
        return self.potentials(self.scaled(x)).flatten(1).sum(1)

    def views(self) -> dict[str, Callable[[Tensor], Tensor]]:
        """Return filter banks to judge samples by: those fitted, others, and filters of noise."""
        return views(self.scales, self.orientations, self.responses)

    def features(self, x: Tensor) -> Tensor:
        """Return the statistics, a mean a filter where they are by position, (N, D)."""
        found = self.statistics(x)
        return found.flatten(1) if self.homogeneous else found.mean((2, 3))
