"""The latent-space model: a prior of z, and a decoder of x.

    p(x, z) = p_alpha(z) p_beta(x | z),    p_alpha(z) = exp(f_alpha(z)) N(z; 0, I) / Z

z: (N, d). With f = 0 the prior is N(0, I), and the model that of alternating back-propagation.
A decoder is a module with

    log_likelihood(x, z)   log p(x | z), (N,), the sum over all that an item holds, never a mean:
                           a mean would turn the posterior into the prior
    decode(z, seeds)       an item a row of z, each by its own seed where it is drawn

Source: Pang, Han, Nijkamp, Zhu, Wu, "Learning Latent Space Energy-Based Prior Model",
arXiv:2006.08205; Han, Lu, Zhu, Wu, arXiv:1606.08571 (alternating back-propagation).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ebm.energy import LogDensity, tilt
from ebm.learn.parts import ChainSettings, at_rest
from ebm.samplers.noise import Noise, spawn

REVISION = 1

START, CHAIN, DECODE = 1, 2, 3  # keys of an item's seeds: of its first z, its chain, its decoding


class Flat(nn.Module):
    """f = 0: the prior is the Gaussian reference alone."""

    def forward(self, z: Tensor) -> Tensor:
        """Return zeros, (N,), of z: (N, d)."""
        return z.new_zeros(len(z))


def log_prior(f: LogDensity) -> LogDensity:
    """Return z -> f(z) - |z|^2 / 2, (N,): log p_alpha up to log Z and the Gaussian's constant."""
    return tilt(f, 1.0)


def log_joint(f: LogDensity, decoder: Any, x: Tensor, seen: Tensor | None = None) -> LogDensity:
    """Return z -> log p(x | z) + log_prior(z), (N,): log p(z | x) up to a constant of x.

    Args:
        f: maps (N, d) to (N,).
        decoder: see above.
        x: (N, ...), what was observed.
        seen: True where x counts, as a decoder with a Gaussian likelihood takes it.
    """
    prior = log_prior(f)
    given = {} if seen is None else {"seen": seen}
    return lambda z: decoder.log_likelihood(x, z, **given) + prior(z)


class Inference(nn.Module):
    """z of x, by the posterior's chain on log p(z | x).

    Args:
        f: of the prior.
        decoder: see above.
        chain: its settings.
        encoder: e(x), (N, d), which chains start at; None starts them at 0, or at N(0, I).
        latent: d.
    """

    def __init__(
        self,
        f: nn.Module,
        decoder: nn.Module,
        chain: ChainSettings,
        encoder: nn.Module | None,
        latent: int,
    ) -> None:
        super().__init__()
        self.f, self.decoder, self.encoder = f, decoder, encoder
        self.chain, self.latent = chain, latent

    def forward(
        self,
        x: Tensor,
        *,
        seeds: Sequence[int] | None = None,
        steps: int | None = None,
        seen: Tensor | None = None,
        pace: float = 1.0,
    ) -> Tensor:
        """Return z, (N, d), of items x: (N, ...).

        Args:
            x: the items.
            seeds: of the chains and their starts, one each; None climbs without noise: the same z
                for the same x.
            steps: None is `sample_steps`; where those are 0, an encoder's z stays as it is.
            seen: like x, True where it counts; an encoder, which sees all, is then left out, and
                the chain has no fewer steps than in learning.
            pace: step size, as a share of that of learning.
        """
        z = self.start(x, seeds, seen)
        if steps is None:
            steps = max(self.chain.sample_steps, 0 if seen is None else self.chain.steps)
        if steps == 0:
            return z
        changes = {} if seeds is not None else {"temperature": 0.0, "noise": None}
        chain = self.chain.model_copy(update={**changes, "step_size": pace * self.chain.step_size})
        with at_rest(self.f), at_rest(self.decoder):
            z, _ = chain.run(
                log_joint(self.f, self.decoder, x.detach(), seen),
                z,
                steps=steps,
                seeds=spawn(range(len(x)) if seeds is None else seeds, CHAIN),
            )
        return z

    def start(self, x: Tensor, seeds: Sequence[int] | None, seen: Tensor | None) -> Tensor:
        """Return where the chains start, (N, d)."""
        if self.encoder is not None and seen is None:
            with torch.no_grad():
                return self.encoder(x)  # type: ignore[no-any-return]
        z = torch.zeros(len(x), self.latent, device=x.device)  # x may be whole numbers
        return z if seeds is None else Noise(z, 1, seeds=spawn(seeds, START)).next()

    def features(self, x: Tensor) -> Tensor:
        """Return z of x, (N, d), found without noise."""
        return self(x)  # type: ignore[no-any-return]
