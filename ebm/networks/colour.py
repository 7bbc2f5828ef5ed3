"""The amplitude spectrum of the data, in whose units chains may take their steps.

This file has no REVISION of its own: those of frame.py, frame_cnn.py and sparse_frame.py stand for
what is done.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAST = 0.01  # amplitude: of what the data hardly have


class Colour(nn.Module):
    """x = A u, with A the amplitude spectrum of the data: chains take equal steps in u.

    The variance of a texture differs a thousandfold from one frequency to another, and a step in x
    must be small for the least of them. In u all have variance 1. Whatever A is, the chain in u is
    one for the same density in x; it is Langevin dynamics preconditioned by A^2.

    Args:
        size: side of the pictures that A is taken from.
        bounded: A is at most the deviation of a pixel, as a white reference asks (`observe`).
    """

    amplitude: Tensor

    def __init__(self, size: int, bounded: bool = True) -> None:
        super().__init__()
        self.bounded = bounded
        self.register_buffer("amplitude", torch.ones(size, size))

    @torch.no_grad()
    def observe(self, x: Tensor) -> None:
        """Take A from pictures x: (M, 1, H, H), smoothed over neighbouring frequencies.

        Bounded, it is at most the deviation of a pixel: where the data vary more, as at the
        frequency of a regular pattern, a white reference holds the chain, and bounds its step.
        """
        power = torch.fft.fft2(x - x.mean()).abs().square().mean((0, 1)) / x[0].numel()
        around = F.pad(power[None, None], [1] * 4, mode="circular")
        most = float(x.std()) if self.bounded else None
        self.amplitude.copy_(F.avg_pool2d(around, 3, 1)[0, 0].sqrt().clamp(LEAST, most))

    def at(self, height: int, width: int) -> Tensor:
        """Return A for pictures of a size, (H, W): between frequencies, linearly."""
        if self.amplitude.shape == (height, width):
            return self.amplitude
        return between(between(self.amplitude, height).T, width).T

    def paint(self, u: Tensor) -> Tensor:
        """Return x = A u of u: (N, 1, H, W)."""
        return torch.fft.ifft2(torch.fft.fft2(u) * self.at(*u.shape[-2:])).real

    def strip(self, x: Tensor) -> Tensor:
        """Return u = A^-1 x of x: (N, 1, H, W)."""
        return torch.fft.ifft2(torch.fft.fft2(x) / self.at(*x.shape[-2:])).real


def between(amplitude: Tensor, size: int) -> Tensor:
    """Return rows (size, W) of an amplitude (S, W) at the frequencies of another size.

    Frequency 0 stays where it is and A(-k) = A(k), so that A u is real.
    """
    own = len(amplitude)
    at = torch.fft.fftfreq(size, device=amplitude.device).double() * own
    low, share = at.floor().long(), (at - at.floor()).to(amplitude)[:, None]
    return (1 - share) * amplitude[low % own] + share * amplitude[(low + 1) % own]


@dataclass(frozen=True)
class Coloured:
    """x -> f(x) - |A^-1 x|^2 / 2, (N,): f tilts the Gaussian that has the data's spectrum.

    Args:
        f: a network with a `colour`.
    """

    f: Any

    @property
    def colour(self) -> Colour:
        """The spectrum."""
        found: Colour = self.f.colour
        return found

    def __call__(self, x: Tensor) -> Tensor:
        """Return it of x: (N, 1, H, W)."""
        value: Tensor = self.f(x) - self.colour.strip(x).flatten(1).square().sum(1) / 2
        return value
