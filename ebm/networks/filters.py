"""Banks of linear filters for FRAME: Gabor, Laplacian of Gaussian and gradient filters.

A filter is a square of odd side, of zero mean but for the intensity filter, and of unit L2 norm.
Scales are those of the published code: a Gabor filter of scale s reaches 12 s pixels from its
centre, a wave of 2 pi s pixels.

Source: Zhu, Wu, Mumford, "Filters, Random Fields and Maximum Entropy (FRAME)", 1998; the forms are
those of Xie, Hu, Zhu, Wu, "Learning Inhomogeneous FRAME Models for Object Patterns", CVPR 2014.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

REVISION = 1

REACH = 12  # pixels from a Gabor filter's centre to its rim, at scale 1
NOISE = 20  # filters of noise that samples are judged by
SOFT = 1e-3  # |r| is sqrt(r^2 + SOFT^2), so that leapfrogs see no kink
NARROW = 0.5  # deviation of a Laplacian of Gaussian over the scale that it is named by: in 2 pi s


COMMON = 3  # filters that every bank begins with, whatever its scales


class Bank(NamedTuple):
    """Filters by name.

    Attributes:
        names: one a filter, such as `cosine 0.5 45`.
        filters: (D, D) each, D odd.
    """

    names: list[str]
    filters: list[Tensor]

    def square(self) -> Tensor:
        """Return all filters, (K, D, D), the smaller ones with zeros around them."""
        side = max(len(each) for each in self.filters)
        pads = [(side - len(each)) // 2 for each in self.filters]
        return torch.stack([F.pad(f, [p] * 4) for f, p in zip(self.filters, pads, strict=True)])


def bank(scales: list[float], orientations: int, turn: float = 0.0) -> Bank:
    """Return intensity and gradients, then by scale a blob and the Gabor pairs.

    Args:
        scales: s, as above; sides are 2 floor(12 s + 1/2) + 1.
        orientations: of the Gabor filters at a scale, equally far apart.
        turn: of all of them, in steps from one orientation to the next: 0.5 gives others.
    """
    names = ["intensity", "gradient 0", "gradient 90"]
    made = [torch.ones(1, 1), gradient(0), gradient(1)]
    for scale in scales:
        names.append(f"blob {scale:g}")
        made.append(blob(scale))
        for place in range(orientations):
            angle = math.pi * (place + turn) / orientations
            for wave in ("cosine", "sine"):
                names.append(f"{wave} {scale:g} {math.degrees(angle):.0f}")
                made.append(gabor(scale, angle, wave))
    return Bank(names, made)


def noise_bank(count: int, side: int, seed: int) -> Bank:
    """Return filters of Gaussian noise, (side, side): none that anybody would think of."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(count, side, side, generator=generator, dtype=torch.float64)
    return Bank([f"noise {k}" for k in range(count)], [unit(each) for each in drawn])


def grid(reach: int) -> tuple[Tensor, Tensor]:
    """Return the coordinates (v, u) of a square of side 2 reach + 1, in pixels from its centre."""
    axis = torch.arange(-reach, reach + 1, dtype=torch.float64)
    v, u = torch.meshgrid(axis, axis, indexing="ij")
    return v, u


def unit(filter_: Tensor) -> Tensor:
    """Return a filter of zero mean and unit norm."""
    centred = filter_ - filter_.mean()
    return (centred / centred.norm()).float()


def gradient(axis: int) -> Tensor:
    """Return the difference of two neighbours, across (0) or down (1), (3, 3)."""
    made = torch.zeros(3, 3, dtype=torch.float64)
    made[1, 1], made[(1, 2) if axis == 0 else (2, 1)] = -1.0, 1.0
    return unit(made)


def gabor(scale: float, angle: float, wave: str) -> Tensor:
    """Return a wave under a Gaussian, exp(-(4 u^2 + v^2) / 100) cos u or sin u, in a disc.

    Args:
        scale: u and v are the turned coordinates in pixels over it.
        angle: of the direction u, in radians.
        wave: `cosine`, without its mean under the Gaussian, or `sine`.
    """
    reach = math.floor(REACH * scale + 0.5)
    y, x = grid(reach)
    u = (x * math.cos(angle) + y * math.sin(angle)) / scale
    v = (y * math.cos(angle) - x * math.sin(angle)) / scale
    inside = (x.square() + y.square() <= reach**2).double()
    window = torch.exp(-(4 * u.square() + v.square()) / 100) * inside
    if wave == "sine":
        made = window * u.sin()
    else:
        made = window * (u.cos() - (window * u.cos()).sum() / window.sum())
    return (made / made.norm()).float()


def blob(scale: float) -> Tensor:
    """Return minus the Laplacian of a Gaussian of deviation pi s pixels: a bright spot."""
    sd = NARROW * 2 * math.pi * scale
    y, x = grid(max(1, math.ceil(3 * sd)))
    square = (y.square() + x.square()) / (2 * sd**2)
    return unit((1 - square) * torch.exp(-square))


class Responses(nn.Module):
    """I -> <I, B_{k,x}>, by the Fourier transform: a picture is continued round its edges.

    Args:
        filters: (K, D, D), D odd.
    """

    filters: Tensor

    def __init__(self, filters: Tensor) -> None:
        super().__init__()
        self.register_buffer("filters", filters, persistent=False)
        self.spectra: dict[tuple[int, int], Tensor] = {}

    def spectrum(self, height: int, width: int) -> Tensor:
        """Return the filters' conjugate spectra for pictures of a size, (K, H, W // 2 + 1).

        Raises:
            ValueError: the filters are larger than the picture.
        """
        side = self.filters.shape[-1]
        if side > min(height, width):
            raise ValueError(f"the picture is {height}x{width}; the largest filter has side {side}")
        if (height, width) not in self.spectra:
            whole = torch.zeros(len(self.filters), height, width).to(self.filters)
            whole[:, :side, :side] = self.filters
            whole = whole.roll((-(side // 2), -(side // 2)), (1, 2))
            self.spectra[height, width] = torch.fft.rfft2(whole).conj()
        return self.spectra[height, width]

    def forward(self, x: Tensor, gain: Tensor | None = None) -> Tensor:
        """Return responses, (N, K, H, W), of grey pictures x: (N, 1, H, W), times gains (K,)."""
        size = (x.shape[-2], x.shape[-1])
        spectrum = self.spectrum(*size)
        if gain is not None:
            spectrum = spectrum * gain[:, None, None]
        return torch.fft.irfft2(torch.fft.rfft2(x) * spectrum, s=size)

    def _apply(self, *given: object, **named: object) -> "Responses":
        """Drop the spectra where the module moves."""
        self.spectra = {}
        return super()._apply(*given, **named)


def views(
    scales: Sequence[float], orientations: int, fitted: Responses
) -> dict[str, Callable[[Tensor], Tensor]]:
    """Return banks to judge samples by: the one fitted, one between its filters, and noise.

    Intensity and gradients, which every bank has, are in the one fitted alone.
    """
    between = [(a * b) ** 0.5 for a, b in zip(scales, scales[1:], strict=False)]
    names, others = bank(between or [1.4 * scales[0]], orientations, turn=0.5)
    return {
        "fitted": fitted,
        "unfitted": Responses(Bank(names[COMMON:], others[COMMON:]).square()),
        "noise": Responses(noise_bank(NOISE, 7, seed=0).square()),
    }


def soft(r: Tensor) -> Tensor:
    """Return |r| with its kink rounded off."""
    return (r.square() + SOFT**2).sqrt()
