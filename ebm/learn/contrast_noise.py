"""Noise to contrast data with: densities q that are fitted, drawn from and evaluated exactly.

    gaussian   q = N(mean, scale^2 covariance) of the data
    uniform    q uniform on [-half, half]^D
    mixture    q = half of each

Draws are made from standard normal numbers that are handed in, so that one generator or one seed a
draw serves alike. q must cover the data, and the nearer it is, the more is learned.

Source: Gutmann and Hyvarinen, "Noise-contrastive estimation", AISTATS 2010, section 2.
"""

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ebm.settings import Settings

REVISION = 1

LEAST = 1e-4  # added to the covariance's diagonal, relative to its mean, where data are flat


class GaussianSettings(Settings):
    """A Gaussian with the data's mean and widened covariance."""

    kind: Literal["gaussian"]
    scale: float = Field(gt=0, description="its standard deviations over the data's")


class UniformSettings(Settings):
    """A box about 0."""

    kind: Literal["uniform"]
    half: float = Field(gt=0, description="half of a side, in the units of x")


class MixtureSettings(Settings):
    """Half a Gaussian and half a box."""

    kind: Literal["mixture"]
    scale: float = Field(gt=0, description="the Gaussian's standard deviations over the data's")
    half: float = Field(gt=0, description="half of a side of the box, in the units of x")


NoiseSettings = Annotated[
    GaussianSettings | UniformSettings | MixtureSettings, Field(discriminator="kind")
]


class GaussianNoise(nn.Module):
    """N(mean, root root^T) over flat items, (N, D)."""

    mean: Tensor
    root: Tensor

    def __init__(self, dim: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("root", torch.eye(dim))

    def fit(self, x: Tensor) -> None:
        """Take mean and covariance of the data x: (M, D)."""
        x = x.double()
        covariance = torch.cov(x.T).reshape(len(self.mean), -1)
        least = LEAST * covariance.diagonal().mean() * torch.eye(len(covariance)).to(covariance)
        self.mean = x.mean(0).to(self.mean)
        self.root = (self.scale * torch.linalg.cholesky(covariance + least)).to(self.root)

    def draw(self, e: Tensor) -> Tensor:
        """Return draws (N, D) made of standard normal e: (N, 1 + D), of which D are used."""
        return self.mean + e[:, 1:] @ self.root.T

    def log_density(self, x: Tensor) -> Tensor:
        """Return log q(x), (N,), of x: (N, D)."""
        z = torch.linalg.solve_triangular(self.root, (x - self.mean).T, upper=False)
        normaliser = len(self.mean) / 2 * math.log(2 * math.pi) + self.root.diagonal().log().sum()
        return -z.square().sum(0) / 2 - normaliser


class UniformNoise(nn.Module):
    """Uniform on [-half, half]^D."""

    def __init__(self, dim: int, half: float) -> None:
        super().__init__()
        self.dim, self.reach = dim, half

    def fit(self, x: Tensor) -> None:
        """See that the data x: (M, D) lie in the box.

        Raises:
            ValueError: they do not, so that q would be 0 at some.
        """
        far = float(x.abs().max())
        if far > self.reach:
            raise ValueError(f"noise.half is {self.reach}; the data reach {far:.4g}: give more")

    def draw(self, e: Tensor) -> Tensor:
        """Return draws (N, D) made of standard normal e: (N, 1 + D), of which D are used."""
        return self.reach * torch.special.erf(e[:, 1:] / math.sqrt(2))

    def log_density(self, x: Tensor) -> Tensor:
        """Return log q(x), (N,), of x: (N, D); minus infinity outside."""
        inside = (x.abs() <= self.reach).all(1)
        level = torch.full_like(x[:, 0], -self.dim * math.log(2 * self.reach))
        return torch.where(inside, level, -torch.inf)


class MixedNoise(nn.Module):
    """One half Gaussian, one half uniform: near the data, and nowhere without noise in the box."""

    def __init__(self, dim: int, scale: float, half: float) -> None:
        super().__init__()
        self.near, self.far = GaussianNoise(dim, scale), UniformNoise(dim, half)

    def fit(self, x: Tensor) -> None:
        """Fit the Gaussian; the box may leave out data, as the Gaussian reaches everywhere."""
        self.near.fit(x)

    def draw(self, e: Tensor) -> Tensor:
        """Return draws (N, D) made of standard normal e: (N, 1 + D); the first number chooses."""
        return torch.where(e[:, :1] > 0, self.near.draw(e), self.far.draw(e))

    def log_density(self, x: Tensor) -> Tensor:
        """Return log q(x), (N,), of x: (N, D)."""
        both = torch.logaddexp(self.near.log_density(x), self.far.log_density(x))
        return both - math.log(2)


def build_noise(settings: NoiseSettings, dim: int) -> GaussianNoise | UniformNoise | MixedNoise:
    """Return the noise of these settings over items of D values."""
    if isinstance(settings, GaussianSettings):
        return GaussianNoise(dim, settings.scale)
    if isinstance(settings, UniformSettings):
        return UniformNoise(dim, settings.half)
    return MixedNoise(dim, settings.scale, settings.half)
