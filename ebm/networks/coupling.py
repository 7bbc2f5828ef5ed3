"""A flow of affine couplings: samples with an exact density, for the amortised prior.

    z = T(e),    e ~ N(0, I),    log q(z) = log N(e; 0, I) - log |det dT/de|

Each coupling leaves half of the values as they are, and by them scales and shifts the other half;
the halves change places from one to the next.

Source: Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", arXiv:1605.08803.
"""

import torch
from torch import Tensor, nn

REVISION = 1

MOST = 2.0  # log scales stay within this of 0


class Coupling(nn.Module):
    """(a, b) -> (a, b exp(s(a)) + t(a)), with s bounded by tanh; the identity at first.

    Args:
        dim: values of z, two or more.
        width: units of the two hidden layers.
        flipped: whether b is the first half.
    """

    def __init__(self, dim: int, width: int, flipped: bool) -> None:
        super().__init__()
        self.flipped = flipped
        self.sizes = (dim // 2, dim - dim // 2)
        inward, outward = self.sizes[::-1] if flipped else self.sizes
        self.body = nn.Sequential(
            *(nn.Linear(inward, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()),
            nn.Linear(width, 2 * outward),
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Let the coupling change nothing."""
        nn.init.zeros_(self.body[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.body[-1].bias)  # type: ignore[arg-type]

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the next z, (N, d), and the log determinant, (N,)."""
        first, second = z.split(self.sizes, 1)
        kept, moved = (second, first) if self.flipped else (first, second)
        scale, shift = self.body(kept).chunk(2, 1)
        scale = MOST * torch.tanh(scale / MOST)
        moved = moved * scale.exp() + shift
        pair = (moved, kept) if self.flipped else (kept, moved)
        return torch.cat(pair, 1), scale.sum(1)


class Flow(nn.Module):
    """T, some couplings in turn.

    Args:
        dim: values of z.
        couplings: how many.
        width: units of their hidden layers.

    Raises:
        ValueError: dim is less than 2.

    >>> z, log_det = Flow(dim=3, couplings=2, width=4)(torch.ones(5, 3))
    >>> bool((z == 1).all() and (log_det == 0).all())
    True
    """

    def __init__(self, dim: int, couplings: int, width: int) -> None:
        super().__init__()
        if dim < 2:
            raise ValueError(f"latent is {dim}; couplings split z in two: give 2 or more")
        self.couplings = nn.ModuleList(
            Coupling(dim, width, flipped=bool(place % 2)) for place in range(couplings)
        )

    def forward(self, e: Tensor) -> tuple[Tensor, Tensor]:
        """Return z = T(e), (N, d), and log |det dT/de|, (N,), of e: (N, d)."""
        total = e.new_zeros(len(e))
        for coupling in self.couplings:
            e, log_det = coupling(e)
            total = total + log_det
        return e, total
