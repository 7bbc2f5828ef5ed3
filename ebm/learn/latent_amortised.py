"""Latent-space models whose two samplers are networks: divergence perturbation (S17).

    Delta = KL(p_data || p_theta) + E KL(q_phi(z|x) || p_theta(z|x)) - KL(q_psi || p_alpha)

    phi, beta   descend  - E_q_phi log p_beta(x|z) + KL(q_phi || N(0, I)) - E_q_phi f(z)
    alpha       ascend   E_q_phi f(z) - E_q_psi f(z)
    psi         descend  KL(q_psi || p_alpha) = - E_q_psi [ f(z) - |z|^2 / 2 ] - H(q_psi) + const

q_phi is a diagonal Gaussian, q_psi a flow of couplings, whose entropy is exact: an iteration runs
no chain. The chains of `prior` and `posterior` serve after learning alone: to run the prior long,
and to refine what the encoder infers.

Source: the tutorial's divergence perturbation; Pang, Han, Nijkamp, Zhu, Wu, arXiv:2006.08205
(the model and its amortised inference).
"""

from collections.abc import Sequence

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from ebm.energy import contrast
from ebm.latent import START
from ebm.learn.latent_prior import LatentPrior
from ebm.learn.latent_settings import LatentPriorSettings
from ebm.learn.parts import OptimiserSettings, at_rest, descend
from ebm.networks.coupling import Flow
from ebm.samplers.noise import Noise, spawn
from ebm.settings import Settings

REVISION = 1


class FlowSettings(Settings):
    """q_psi, the prior's sampler."""

    couplings: int = Field(ge=1, description="affine couplings in turn")
    width: int = Field(ge=1, description="units of their hidden layers")
    optimiser: OptimiserSettings


class LatentAmortisedSettings(LatentPriorSettings):
    """A latent-space model with a learned prior, and networks that sample in place of chains."""

    sampler: FlowSettings

    @property
    def encoder_outputs(self) -> int:
        """Numbers that the encoder gives: mean and log variance of each value of z."""
        return 2 * self.latent

    @model_validator(mode="after")
    def check_samplers(self) -> "LatentAmortisedSettings":
        """There is a prior to sample, and an encoder to infer."""
        if self.prior is None:
            raise ValueError("prior is null, and sampler is given; N(0, I) needs no sampler")
        if self.posterior.encoder is None:
            raise ValueError("posterior.encoder is missing; it is q_phi: give start: encoder")
        return self


class GaussianEncoder(nn.Module):
    """q_phi(z|x) = N(m(x), diag v(x)), by one network that gives m and log v.

    Args:
        network: maps x to (N, 2 d).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and the log variance, (N, d) each."""
        mean, log_variance = self.network(x).chunk(2, 1)
        return mean, log_variance

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean, (N, d)."""
        return self.both(x)[0]


class LatentAmortised(LatentPrior):
    """Learns prior, decoder and both samplers together, without chains.

    Attributes:
        networks: f, decoder, encoder and sampler.
    """

    Settings = LatentAmortisedSettings
    settings: LatentAmortisedSettings

    def __init__(
        self,
        settings: LatentAmortisedSettings,
        below: None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(settings, below, device)
        given, encoder = settings.sampler, settings.posterior.encoder
        assert encoder is not None  # by the settings' own check
        self.networks["encoder"] = GaussianEncoder(self.networks["encoder"]).to(self.device)
        flow = Flow(settings.latent, given.couplings, given.width).to(self.device)
        self.networks["sampler"] = flow
        self.optimisers["encoder"] = encoder.optimiser.build(self.networks["encoder"])
        self.optimisers["sampler"] = given.optimiser.build(flow)
        self.through = {name: self.networks[name] for name in self.optimisers}

    def learn(self, batch: Tensor, rows: Tensor | None = None) -> dict[str, Tensor]:
        """Do one iteration on a batch (N, ...); return its figures."""
        z, figures = self.learn_posterior(batch)
        sampled, found = self.learn_sampler(len(batch))
        f_data, f_samples = self.f(torch.cat([z, sampled])).split([len(z), len(sampled)])
        prior = self.settings.prior
        assert prior is not None  # by the settings' own check
        descend(self.f, self.optimisers["f"], contrast(f_data, f_samples, prior.decay), None)
        return {
            **figures,
            **found,
            "f_data": f_data.detach().mean(),
            "f_samples": f_samples.detach().mean(),
            "sd_data": z.std(0).mean(),
            "sd_samples": sampled.std(0).mean(),
        }

    def learn_posterior(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Learn decoder and encoder by their bound on log p(x); return z ~ q_phi(z|x)."""
        encoder: GaussianEncoder = self.networks["encoder"]  # type: ignore[assignment]
        mean, log_variance = encoder.both(x)
        e = torch.empty_like(mean).normal_(generator=self.generator)
        z = mean + (log_variance / 2).exp() * e
        fit = self.decoder.log_likelihood(x, z).mean()
        far = divergence(mean, log_variance).mean()
        with at_rest(self.f):
            loss = far - fit - self.f(z).mean()
        for name in ("decoder", "encoder"):
            self.optimisers[name].zero_grad(set_to_none=True)
        loss.backward()
        for name in ("decoder", "encoder"):
            if self.settings.gradient_clip is not None:
                clip = self.settings.gradient_clip
                nn.utils.clip_grad_norm_(self.networks[name].parameters(), clip)
            self.optimisers[name].step()
        told = {"log_likelihood": fit.detach() / x[0].numel(), "divergence": far.detach()}
        return z.detach(), told

    def learn_sampler(self, count: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Move q_psi towards the prior; return z ~ q_psi, (count, d)."""
        flow = self.networks["sampler"]
        z, log_det = flow(self.draw(count))
        with at_rest(self.f):
            loss = (z.square().sum(1) / 2 - self.f(z) - log_det).mean()
        descend(flow, self.optimisers["sampler"], loss, self.settings.gradient_clip)
        return z.detach(), {"sampler_loss": loss.detach()}

    @torch.no_grad()
    def draw_prior(
        self, seeds: Sequence[int], *, steps: int | None = None, keep: int = 0
    ) -> list[Tensor]:
        """Return z of q_psi, one a seed, after N(0, I) where states are kept.

        Args:
            seeds: N integers.
            steps: of the prior's chain instead, from N(0, I); None samples by q_psi.
            keep: keep the state every so many steps; 0 keeps the end alone.
        """
        if steps is not None:
            return super().draw_prior(seeds, steps=steps, keep=keep)
        like = torch.empty(len(seeds), self.settings.latent, device=self.device)
        e = Noise(like, 1, seeds=spawn(seeds, START)).next()
        z = self.networks["sampler"](e)[0]
        return [e, z] if keep else [z]


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(N(mean, exp log_variance) || N(0, I)), (N,), of (N, d) each.

    >>> float(divergence(torch.zeros(1, 2), torch.zeros(1, 2)))
    0.0
    """
    return (mean.square() + log_variance.exp() - log_variance - 1).sum(1) / 2
