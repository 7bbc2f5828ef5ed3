"""Latent-space models with a learned prior, and alternating back-propagation (S12, S16).

    p(x, z) = p_alpha(z) p_beta(x | z),    p_alpha(z) = exp(f_alpha(z)) N(z; 0, I) / Z
    z-     <-  K0 Langevin steps on log p_alpha(z), from N(0, I)
    z+     <-  K1 Langevin steps on log p_alpha(z) + log p_beta(x | z)
    beta   <-  beta + eta grad log p_beta(x | z+)
    alpha  <-  alpha + eta ( E[grad f(z+)] - E[grad f(z-)] )

Without `prior` f is 0, and this is alternating back-propagation: inference, then learning. The
posterior chain starts at N(0, I) (`prior`), where the item's last chain ended (`persistent`), or
at e(x) (`encoder`), a network that learns by least squares where the chains end.

With `incomplete` a part of each training item is hidden, and counts nowhere: the likelihood is that
of what is seen, in inference and in learning.

Source: Pang, Han, Nijkamp, Zhu, Wu, arXiv:2006.08205; Han, Lu, Zhu, Wu, "Alternating
Back-Propagation for Generator Network", arXiv:1606.08571.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ebm.energy import contrast
from ebm.latent import CHAIN, DECODE, START, Flat, Inference, log_joint, log_prior
from ebm.learn.latent_settings import LatentPriorSettings
from ebm.learn.parts import at_rest, check_shape, descend
from ebm.learner import State
from ebm.samplers.noise import Noise, spawn

REVISION = 1


class LatentPrior(State):
    """Learns the prior and the decoder of a latent-space model by short-run chains.

    Args:
        settings: see there.
        below: must be None: prior and decoder are learned together.
        device: where the networks and the chains live.

    Attributes:
        networks: f, decoder, and encoder where chains start at one.
        optimisers: of those that are learned, under the same names.
        through, share: see `ebm.learner.Learner`.

    Raises:
        ValueError: below is given.
    """

    Settings: type[LatentPriorSettings] = LatentPriorSettings

    def __init__(
        self, settings: LatentPriorSettings, below: None = None, device: torch.device | str = "cpu"
    ) -> None:
        if below is not None:
            raise ValueError("latent_prior has one stage; its below must be null")
        self.settings, self.below, self.device = settings, below, torch.device(device)
        prior, encoder = settings.prior, settings.posterior.encoder
        parts = {"f": prior.build(settings.latent) if prior else Flat()}
        parts["decoder"] = settings.decoder.build(settings.latent)
        rates = {"f": prior.optimiser} if prior else {}
        rates["decoder"] = settings.optimiser
        if encoder:
            parts["encoder"], rates["encoder"] = encoder.network.build(), encoder.optimiser
        self.networks = nn.ModuleDict(parts).to(self.device)
        self.optimisers = {name: each.build(self.networks[name]) for name, each in rates.items()}
        self.through: dict[str, nn.Module] = {name: self.networks[name] for name in rates}
        self.share = 1
        self.generator = torch.Generator(self.device)
        self.chains: Tensor | None = None  # persistent: where each training item's chain ended
        self.visible: Tensor | None = None  # of each training item, where some of it is hidden

    @property
    def f(self) -> nn.Module:
        """The prior's network."""
        return self.networks["f"]

    @property
    def decoder(self) -> Any:
        """The decoder."""
        return self.networks["decoder"]

    @property
    def size(self) -> int:
        """The side of the images; of points, D."""
        return self.settings.decoder.shape[-1]

    @property
    def indexed(self) -> bool:
        """Whether `learn` is told which training items a batch holds."""
        return self.settings.posterior.start == "persistent" or bool(self.settings.incomplete)

    def prepare(self, x: Tensor) -> None:
        """See that the data x: (M, ...) fit; start the persistent chains, hide what is hidden.

        Raises:
            ValueError: they are of another shape, or several processes are to learn together: the
                losses are of a decoder's likelihood, which no process shares with the others.
        """
        check_shape(x, self.settings.decoder.shape)
        if self.share > 1:
            raise ValueError(
                f"{self.share} processes are to learn together; latent-space models learn in one: "
                "set processes to 1"
            )
        if self.settings.posterior.start == "persistent":
            self.chains = self.draw(len(x))
        if self.settings.incomplete:
            masks = torch.from_numpy(self.settings.incomplete.masks(len(x), self.size))
            self.visible = masks.to(self.device)

    def draw(self, count: int) -> Tensor:
        """Return z ~ N(0, I), (count, d), from the learner's generator."""
        z = torch.empty(count, self.settings.latent, device=self.device)
        return z.normal_(generator=self.generator)

    def learn(self, batch: Tensor, rows: Tensor | None = None) -> dict[str, Tensor]:
        """Do one iteration on a batch (N, ...); return its figures.

        Args:
            batch: of the training items.
            rows: (N,), which they are, where the learner is `indexed`.
        """
        seen = None if self.visible is None else self.visible[rows]
        start = self.start(batch, rows)
        z, record = self.infer(batch, start, seen=seen, generator=self.generator)
        if self.chains is not None:
            self.chains[rows] = z
        figures = {"strength": record.strength, "movement": record.movement}
        figures |= self.learn_decoder(batch, z, seen)
        figures |= self.learn_encoder(batch, z)
        figures |= self.learn_prior(z)
        return figures

    def start(self, x: Tensor, rows: Tensor | None) -> Tensor:
        """Return where the posterior chains of a batch start, (N, d)."""
        if self.chains is not None:
            return self.chains[rows]
        if "encoder" in self.networks:
            with torch.no_grad():
                return self.networks["encoder"](x)  # type: ignore[no-any-return]
        return self.draw(len(x))

    def infer(self, x: Tensor, z: Tensor, *, seen: Tensor | None = None, **run: Any) -> Any:
        """Return z after K1 steps of the posterior chain from z: (N, d), and the record.

        Args:
            x: (N, ...).
            seen: like x, True where it counts.
            run: of `ChainSettings.run`: generator or seeds; `steps` in place of K1, `keep`.
        """
        chain = self.settings.posterior.chain
        run = {"steps": chain.steps, **run}
        with at_rest(self.f), at_rest(self.decoder):
            return chain.run(log_joint(self.f, self.decoder, x, seen), z, **run)

    def learn_decoder(self, x: Tensor, z: Tensor, seen: Tensor | None) -> dict[str, Tensor]:
        """Ascend log p(x | z); return its mean a value of x."""
        given = {} if seen is None else {"seen": seen}
        value = self.decoder.log_likelihood(x, z, **given).mean()
        clip = self.settings.gradient_clip
        descend(self.decoder, self.optimisers["decoder"], -value, clip)
        return {"log_likelihood": value.detach() / x[0].numel()}

    def learn_encoder(self, x: Tensor, z: Tensor) -> dict[str, Tensor]:
        """Move e(x) to where the chains ended; return the squared distance a value of z."""
        if "encoder" not in self.networks:
            return {}
        loss = (self.networks["encoder"](x) - z).square().mean()
        descend(self.networks["encoder"], self.optimisers["encoder"], loss, None)
        return {"encoder_error": loss.detach()}

    def learn_prior(self, z: Tensor) -> dict[str, Tensor]:
        """Ascend f at the posterior's z: (N, d) over f at the prior's; return both and spreads."""
        prior = self.settings.prior
        if prior is None:
            flat = z.new_zeros(())
            spread = z.std(0).mean()
            return {"f_data": flat, "f_samples": flat, "sd_data": spread, "sd_samples": spread}
        with at_rest(self.f):
            prior_z, record = prior.chain.run(
                log_prior(self.f),
                self.draw(len(z)),
                steps=prior.chain.steps,
                generator=self.generator,
            )
        f_data, f_samples = self.f(torch.cat([z, prior_z])).split([len(z), len(prior_z)])
        descend(self.f, self.optimisers["f"], contrast(f_data, f_samples, prior.decay), None)
        return {
            "f_data": f_data.detach().mean(),
            "f_samples": f_samples.detach().mean(),
            "prior_strength": record.strength,
            "sd_data": z.std(0).mean(),
            "sd_samples": prior_z.std(0).mean(),
        }

    def draw_prior(
        self, seeds: Sequence[int], *, steps: int | None = None, keep: int = 0
    ) -> list[Tensor]:
        """Return z of the prior's chain from N(0, I), one a seed: the states kept.

        Args:
            seeds: N integers.
            steps: None is `sample_steps`; without a learned prior there are none.
            keep: keep the state every so many steps, of which the last is the end where `keep`
                divides them; 0 keeps the end alone.
        """
        like = torch.empty(len(seeds), self.settings.latent, device=self.device)
        z = Noise(like, 1, seeds=spawn(seeds, START)).next()
        prior = self.settings.prior
        if prior is None:
            return [z]
        steps = prior.chain.sample_steps if steps is None else steps
        with at_rest(self.f):
            z, record = prior.chain.run(
                log_prior(self.f), z, steps=steps, seeds=spawn(seeds, CHAIN), keep=keep
            )
        return record.path or [z]

    def sample(
        self,
        seeds: Sequence[int],
        *,
        fixed: tuple[Tensor, Tensor] | None = None,
        pace: float = 1.0,
        keep: int = 0,
    ) -> dict[int, list[Tensor]]:
        """Draw one item a seed: {size: what the states of the prior's chain decode to}.

        Args:
            seeds: N integers.
            fixed: (image, mask), (N, C, H, W) each: z is then drawn from p(z | what the boolean
                mask shows), and the hole is filled with what it decodes to.
            pace: step size of the posterior's chain, as a share of that of learning.
            keep: keep the prior's state every so many steps; 0 keeps the end alone.
        """
        if fixed is None:
            states = self.draw_prior(seeds, keep=keep)
            return {self.size: [self.decode(z, seeds) for z in states]}
        image, mask = (each.to(self.device) for each in fixed)
        z = self.posterior(image, seeds=seeds, seen=mask, pace=pace)
        return {self.size: [torch.where(mask, image, self.decode(z, seeds))]}

    @torch.no_grad()
    def decode(self, z: Tensor, seeds: Sequence[int], **how: Any) -> Tensor:
        """Return what z: (N, d) decodes to, (N, ...), one seed a row; `how` is of the decoder."""
        return self.decoder.decode(z, spawn(seeds, DECODE), **how)  # type: ignore[no-any-return]

    def posterior(self, x: Tensor, **how: Any) -> Tensor:
        """Return z of each item x: (N, ...), after learning; `how` is of `ebm.latent.Inference`."""
        return self.feature_network(x.to(self.device), **how)  # type: ignore[no-any-return]

    @property
    def feature_network(self) -> Inference:
        """What `features` shows x to."""
        found = dict(self.networks.items())
        chain, latent = self.settings.posterior.chain, self.settings.latent
        return Inference(self.f, self.decoder, chain, found.get("encoder"), latent)

    def features(self, x: Tensor) -> Tensor:
        """Return z of x, (N, d), found without noise."""
        return self.feature_network.features(x.to(self.device))

    def score(self, x: Tensor) -> Tensor:
        """Return log p(x, z) up to log Z, (N,), of x: (N, ...) at the z found without noise."""
        z = self.posterior(x)
        with at_rest(self.f), at_rest(self.decoder):
            return log_joint(self.f, self.decoder, x.to(self.device))(z)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next iteration depends on."""
        return {
            **super().state_dict(),
            **({} if self.chains is None else {"chains": self.chains}),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        super().load_state_dict(state)
        if self.chains is not None:
            self.chains = state["chains"].to(self.device)
