"""Noise contrastive estimation: f and log Z, learned by telling data from noise (S18).

    log p(x) = f(x) + log r(x) - c,    c = log Z a parameter,    r uniform or N(0, sd^2 I)
    l(x)     = log p(x) - log q(x) - log nu                      log odds of data against noise
    L        = E_data softplus(-l) + nu E_q softplus(l)          nu draws of noise for a datum

At the optimum p is the data's density, normalised, and c is log Z, without any chain. The
nearer q is to the data, the more a batch tells: `ess` among the figures says how near.

Source: Gutmann and Hyvarinen, "Noise-contrastive estimation: a new estimation principle for
unnormalized statistical models", AISTATS 2010.
"""

import math
from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ebm.energy import LogDensity, tilt
from ebm.learn.contrast_noise import GaussianNoise, NoiseSettings, build_noise
from ebm.learn.parts import ChainSettings, OptimiserSettings, at_rest, check_shape, kept_states
from ebm.learner import State
from ebm.networks import NetworkSettings
from ebm.samplers.noise import Noise, spawn
from ebm.settings import Settings

REVISION = 1

FIRST = 1000  # data, and as many draws of noise, that c is first fitted to


class NoiseContrastiveSettings(Settings):
    """A network, the noise that it tells data from, and the chains that draw from it."""

    network: NetworkSettings
    reference: float | None = Field(
        gt=0, description="sd of the Gaussian reference r; null: r is constant"
    )
    noise: NoiseSettings
    ratio: int = Field(ge=1, description="nu, draws of noise for each datum")
    data_noise: float = Field(ge=0, description="noise added to the data while learning")
    optimiser: OptimiserSettings
    rate_log_z: float = Field(gt=0, description="learning rate of c")
    chain: ChainSettings

    @property
    def channels(self) -> int:
        """Channels of an image; values of a point."""
        return self.network.shape[0]


class LogZ(nn.Module):
    """c, the learned log Z."""

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Parameter(torch.zeros(()))

    def forward(self) -> Tensor:
        """Return c, (); a copy, since what wraps a module marks what it returns."""
        return self.c.clone()


def contrastive_loss(data: Tensor, noise: Tensor, ratio: int) -> Tensor:
    """Return L, (), of the log odds l on data, (N,), and on noise, (ratio N,).

    With equal odds everywhere and ratio 1 it is 2 log 2. Nothing is exponentiated: log odds of any
    size give a finite loss and gradient.
    """
    return F.softplus(-data).mean() + ratio * F.softplus(noise).mean()


def balance(data: Tensor, noise: Tensor, ratio: int) -> Tensor:
    """Return the c, (), with which L is least, by bisection of its derivative.

    So c begins at its optimum for the first f; where the mean of the log odds is 0 is far from it
    if f is steep, and steps of c are small.

    Args:
        data: (N,), f + log r - log q on data.
        noise: (M,), the same on noise.
        ratio: nu.
    """
    odds = torch.cat([data, noise]).double().nan_to_num() - math.log(ratio)
    low, high = odds.min() - 1, odds.max() + 1
    for _ in range(100):
        c = (low + high) / 2
        excess = torch.sigmoid(c - odds[: len(data)]).mean()
        excess = excess - ratio * torch.sigmoid(odds[len(data) :] - c).mean()
        low, high = torch.where(excess < 0, c, low), torch.where(excess < 0, high, c)
    return c


class NoiseContrastive(State):
    """Learns f and log Z by telling data from noise.

    Args:
        settings: see there.
        below: must be None: there is one stage.
        device: where the network lives.

    Attributes:
        networks: f, log_z and the fitted noise.
        optimisers: one of f and one of log_z.
        through, share: see `ebm.learner.Learner`.

    Raises:
        ValueError: below is given.
    """

    Settings = NoiseContrastiveSettings

    def __init__(
        self,
        settings: NoiseContrastiveSettings,
        below: None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        if below is not None:
            raise ValueError("noise_contrastive has one stage; its below must be null")
        self.settings, self.below, self.device = settings, below, torch.device(device)
        dim = int(torch.tensor(self.shape).prod())
        self.networks = nn.ModuleDict(
            {
                "f": settings.network.build(),
                "log_z": LogZ(),
                "noise": build_noise(settings.noise, dim),
            }
        ).to(self.device)
        self.optimisers = {
            "f": settings.optimiser.build(self.f),
            "log_z": torch.optim.Adam(
                self.networks["log_z"].parameters(),
                lr=settings.rate_log_z,
                betas=(settings.optimiser.momentum, 0.999),
                fused=self.device.type == "cuda" or None,  # None leaves it to torch
            ),
        }
        self.through = {key: self.networks[key] for key in self.optimisers}
        self.share = 1
        self.generator = torch.Generator(self.device)

    @property
    def f(self) -> nn.Module:
        """The network."""
        return self.networks["f"]

    @property
    def c(self) -> Tensor:
        """The learned log Z, (), in nats."""
        return cast(LogZ, self.networks["log_z"]).c

    @property
    def noise(self) -> GaussianNoise:
        """The noise q; all kinds have the same methods."""
        return cast(GaussianNoise, self.networks["noise"])

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one item: (D,) or (C, H, W)."""
        return self.settings.network.shape

    @property
    def size(self) -> int:
        """The side of the images; of points, D."""
        return self.shape[-1]

    @property
    def unnormalised(self) -> LogDensity:
        """x: (N, ...) -> f(x) + log r(x), (N,), which is log p(x) + c."""
        return tilt(self.f, self.settings.reference)

    def log_density(self, x: Tensor) -> Tensor:
        """Return log p(x), (N,), normalised as far as c has been learned."""
        return self.unnormalised(x) - self.c

    def draw(self, count: int, seeds: Sequence[int] | None = None) -> Tensor:
        """Draw noise, (count, ...), by the generator or a seed each."""
        like = torch.empty(count, 1 + int(torch.tensor(self.shape).prod()), device=self.device)
        generator = None if seeds is not None else self.generator
        e = Noise(like, 1, seeds=seeds, generator=generator).next()
        return self.noise.draw(e).reshape(-1, *self.shape)

    def prepare(self, x: Tensor) -> None:
        """Fit the noise to the data x: (M, ...), and c to the first of them, f as it is."""
        check_shape(x, self.shape)
        self.noise.fit(x.flatten(1).to(self.device))
        first = x[:FIRST].to(self.device)
        both = torch.cat([first, self.draw(len(first))])
        with torch.no_grad():
            odds = self.unnormalised(both) - self.noise.log_density(both.flatten(1))
            of_data, of_noise = odds.split(len(first))
            self.c.copy_(balance(of_data, of_noise, self.settings.ratio))

    def learn(self, batch: Tensor) -> dict[str, Tensor]:
        """Do one iteration on a batch (N, ...); return its figures.

        There are no chains, so means over the model are means over the noise, weighted by p / q.
        """
        e = torch.empty_like(batch).normal_(generator=self.generator)
        data = batch.add(e, alpha=self.settings.data_noise)
        noise = self.draw(self.settings.ratio * len(data))
        both = torch.cat([data, noise])
        f = tilt(self.through["f"], self.settings.reference)(both)
        odds = f - self.through["log_z"]() - self.noise.log_density(both.flatten(1))
        odds = odds - math.log(self.settings.ratio)
        sizes = [len(data), len(noise)]
        of_data, of_noise = odds.split(sizes)
        loss = contrastive_loss(of_data, of_noise, self.settings.ratio)
        for optimiser in self.optimisers.values():
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for optimiser in self.optimisers.values():
            optimiser.step()
        f_data, f_noise = f.detach().split(sizes)
        return {
            "loss": loss.detach(),
            "log_z": self.c.detach().clone(),
            "accuracy": ((of_data > 0).float().mean() + (of_noise < 0).float().mean()) / 2,
            "f_data": f_data.mean(),
            "sd_data": data.std(0).mean(),
            **over_model(f_noise, noise, of_noise.detach()),
        }

    def sample(self, seeds: Sequence[int], *, keep: int = 0) -> dict[int, list[Tensor]]:
        """Draw one item a seed by `sample_steps` steps from noise: {size: states, the end last}."""
        x, chain = self.draw(len(seeds), spawn(seeds, 1)), self.settings.chain
        with at_rest(self.f):
            x, record = chain.run(
                self.unnormalised, x, steps=chain.sample_steps, seeds=spawn(seeds, 2), keep=keep
            )
        return {self.size: kept_states(record.path, x, chain.sample_steps, keep)}

    @property
    def feature_network(self) -> nn.Module:
        """The network whose features `features` returns."""
        return self.f

    def features(self, x: Tensor) -> Tensor:
        """Return learned features, (N, F), of x: (N, ...)."""
        return self.f.features(x.to(self.device))  # type: ignore[operator]

    def score(self, x: Tensor) -> Tensor:
        """Return f(x) + log r(x), (N,), of x: (N, ...): log p(x) + log Z, whose estimate is c."""
        return self.unnormalised(x.to(self.device))


def over_model(f: Tensor, x: Tensor, odds: Tensor) -> dict[str, Tensor]:
    """Return the model's means, estimated on noise x: (M, ...) with weights p / q.

    Args:
        f: (M,), f on the noise.
        x: (M, ...), the noise.
        odds: (M,), log p - log q up to a constant.

    Returns:
        f_samples and sd_samples, as of samples; ess, the effective share of the noise in (0, 1]:
        1 where q is p.
    """
    weights = torch.softmax(odds, 0)
    flat = x.flatten(1)
    mean = weights @ flat
    return {
        "f_samples": weights @ f,
        "sd_samples": (weights @ (flat - mean).square()).sqrt().mean(),
        "ess": 1 / (len(f) * weights.square().sum()),
    }
