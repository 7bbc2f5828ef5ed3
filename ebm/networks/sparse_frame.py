"""Inhomogeneous FRAME over wavelets that are selected: aligned objects (S02).

    f(I) = sum_i lambda_i( <I, B_i> / s_i ),    i = 1 .. n,  B_i a filter at a position

with s_i the standard deviation of the response over the data. A potential lambda_i is

    two_sided   w+_i r+ + w-_i r-,    r+ = (|r| + r) / 2,  r- = (|r| - r) / 2
    rectified   w_i |r|, the same for an image and its negative

The n wavelets are selected before anything is learned, one after the other, by how much the mean
squares of their responses differ between the data and a Gaussian, at first the one that has the
data's amplitude spectrum A, the same everywhere. With rho_j the ratio of the two mean squares,

    i = argmax_j  rho_j - 1 - log rho_j

and the Gaussian is then the one nearest to the last whose mean square along B_i is the data's:

    C  <-  C + (rho_i - 1) C B_i B_i' C / (B_i' C B_i)

Half of the maximum is the KL divergence between the two Gaussians, what a step gains. So this is
generative boosting with the model taken to be Gaussian: a closed form, no chains, and no shifts of
a wavelet from image to image.

Source: Xie, Hu, Zhu, Wu, "Learning Inhomogeneous FRAME Models for Object Patterns", CVPR 2014; Xie,
Lu, Zhu, Wu, "Inducing Wavelets into Random Fields via Generative Boosting", ACHA 2015 (selection).
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ebm.networks.colour import Colour
from ebm.networks.filters import Responses, bank, views

REVISION = 1

PART = 64  # images whose responses are computed at once
TINY = 1e-6  # least mean square of a response
SOFT = 0.2  # |r| is sqrt(r^2 + SOFT^2): a trajectory sees no kink
FLOOR = 0.1  # least s_i, as a share of their root mean square


class SparseFrame(nn.Module):
    """f(I) as above, 0 at first, of square grey images.

    Until `observe` has looked at the data the wavelets are 0.

    Args:
        size: side of the images.
        scales, orientations: of the filters (`ebm.networks.filters.bank`).
        selected: n, wavelets.
        potential: `two_sided` or `rectified`.

    Raises:
        ValueError: there are fewer wavelets than n.

    >>> SparseFrame(8, [0.25], 2, selected=5)(torch.zeros(3, 1, 8, 8)).shape
    torch.Size([3])
    """

    places: Tensor
    wavelets: Tensor
    sd: Tensor
    homogeneous = False

    def __init__(
        self,
        size: int,
        scales: Sequence[float],
        orientations: int,
        selected: int,
        potential: Literal["two_sided", "rectified"] = "two_sided",
    ) -> None:
        super().__init__()
        self.size, self.scales, self.orientations = size, list(scales), orientations
        self.potential = potential
        made = bank(self.scales, orientations)
        self.names = made.names
        self.bank = Responses(made.square())
        if selected > (there := len(self.names) * size**2):
            raise ValueError(f"selected is {selected}; there are {there} wavelets")
        self.register_buffer("places", torch.zeros(selected, dtype=torch.long))
        self.register_buffer("wavelets", torch.zeros(selected, size**2))
        self.register_buffer("sd", torch.ones(selected))
        sides = 2 if potential == "two_sided" else 1
        self.head = nn.Linear(sides * selected, 1, bias=False)
        self.colour = Colour(size, bounded=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Let f be 0."""
        nn.init.zeros_(self.head.weight)

    @torch.no_grad()
    def observe(self, x: Tensor) -> None:
        """Select the wavelets, and take their units and the spectrum, from x: (M, 1, H, H)."""
        self.colour.observe(x)
        wavelets = Wavelets(self.bank.filters, self.size)
        self.places.copy_(pursuit(x, self.colour, wavelets, len(self.places)))
        for row, place in enumerate(self.places.tolist()):
            self.wavelets[row] = wavelets[place].flatten()
        sd = (x.flatten(1) @ self.wavelets.T).std(0)
        self.sd.copy_(sd.clamp(min=FLOOR * float(sd.square().mean().sqrt())))

    def scaled(self, x: Tensor) -> Tensor:
        """Return the responses r in units of their deviation over the data, (N, n)."""
        return F.linear(x.flatten(1), self.wavelets / self.sd[:, None])

    def features(self, x: Tensor) -> Tensor:
        """Return what learning matches, (N, 2 n), r+ before r-, or |r|, (N, n)."""
        r = self.scaled(x)
        size = (r.square() + SOFT**2).sqrt()
        return size if self.potential == "rectified" else torch.cat([size + r, size - r], 1) / 2

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x), (N,), of grey images x: (N, 1, H, H)."""
        return self.head(self.features(x)).squeeze(1)

    def parts(self) -> tuple[Tensor, Tensor]:
        """Return the weights a, b of f = sum_i a_i |r_i| + b_i r_i, (n,) each."""
        w = self.head.weight.detach()[0]
        if self.potential == "rectified":
            return w, torch.zeros_like(w)
        above, below = w.chunk(2)
        return (above + below) / 2, (above - below) / 2

    def template(self, weights: Tensor, absolute: bool) -> Tensor:
        """Return sum_i w_i B_i / s_i of weights (n,), or of |B_i|, (1, H, H)."""
        made = (self.wavelets / self.sd[:, None]).cpu()
        return (weights @ (made.abs() if absolute else made)).view(1, self.size, self.size)

    def views(self) -> dict[str, Callable[[Tensor], Tensor]]:
        """Return what samples are judged by: the wavelets fitted, other banks, filters of noise."""
        others = views(self.scales, self.orientations, self.bank)
        return {**others, "fitted": lambda x: self.scaled(x)[:, :, None, None]}


class Wavelets:
    """The filters of a bank at every pixel of a square image, cut off at its edge, of norm 1.

    Args:
        filters: (K, D, D).
        size: side of the image.
    """

    def __init__(self, filters: Tensor, size: int) -> None:
        self.filters, self.size, self.reach = filters, size, filters.shape[-1] // 2
        self.bank = Responses(filters)
        ones = torch.ones(1, 1, size, size)
        self.norm = self.padded(Responses(filters.square()), ones)[0].sqrt()

    def padded(self, bank: Responses, x: Tensor) -> Tensor:
        """Return the responses of x: (N, 1, H, H) with zeros around it, (N, K, H, H)."""
        r, wide = self.reach, slice(self.reach, self.reach + self.size)
        return bank(F.pad(x, [r] * 4))[..., wide, wide]

    def __call__(self, x: Tensor) -> Tensor:
        """Return <x, B> of x: (N, 1, H, H), (N, K, H, H)."""
        return self.padded(self.bank, x) / self.norm

    def __getitem__(self, place: int) -> Tensor:
        """Return the wavelet of an index in (K, H, H), an image (H, H)."""
        k, row, column = place // self.size**2, place // self.size % self.size, place % self.size
        made = torch.zeros([self.size + 2 * self.reach] * 2)
        made[row : row + 2 * self.reach + 1, column : column + 2 * self.reach + 1] = self.filters[k]
        return (
            made[self.reach :, self.reach :][: self.size, : self.size] / self.norm[k, row, column]
        )


def mean_squares(wavelets: Wavelets, x: Tensor) -> Tensor:
    """Return E[<I, B>^2] by wavelet, (K, H, H), over images x: (M, 1, H, H)."""
    parts = [wavelets(part).square().sum(0) for part in x.split(PART)]
    return (torch.stack(parts).sum(0) / len(x)).clamp(min=TINY)


@torch.no_grad()
def pursuit(x: Tensor, colour: Colour, wavelets: Wavelets, count: int) -> Tensor:
    """Return the places in (K, H, H) of the wavelets that are selected, (count,), in their order.

    Args:
        x: images, (M, 1, H, H).
        colour: A, of the Gaussian that the pursuit begins with.
        wavelets: to choose from.
        count: n.
    """
    size = x[0].numel()
    root = colour.paint(torch.eye(size).view(size, *x.shape[1:]))  # C = root' root
    cov = root.flatten(1).double().T @ root.flatten(1).double()
    observed, model = mean_squares(wavelets, x), mean_squares(wavelets, root) * size
    found: list[int] = []
    for _ in range(count):
        rho = observed / model.clamp(min=TINY)
        gain = rho - 1 - rho.log()
        gain.view(-1)[found] = -1.0
        found.append(int(gain.argmax()))
        b = wavelets[found[-1]].flatten().double()
        seen = cov @ b  # C B
        own = seen @ b
        share = float((observed.flatten()[found[-1]] - own) / own.square())  # (rho - 1) / B' C B
        cov.addr_(seen, seen, alpha=share)
        model += share * wavelets(seen.float().view(1, *x.shape[1:]))[0].square()
    return torch.tensor(found)
