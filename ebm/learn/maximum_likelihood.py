"""Maximum likelihood by analysis and synthesis, for points and images (S04, S05, S09).

    p(x) = exp(f(x)) q(x) / Z,    q uniform, N(0, sd^2 I), or Gaussian with the data's spectrum
    x      <-  K Langevin steps on log p from a start              (synthesis)
    theta  <-  theta + eta ( E_data[grad f] - E_samples[grad f] )  (analysis)

The start tells the variants apart (ebm/samplers/chains.py): `persistent` goes on from the last
states, `data` begins at the batch (contrastive divergence), `noise` afresh (short-run), `source` at
images of another domain, which the chain translates into the data's (one-sided translation).

Source: Xie, Lu, Zhu, Wu, arXiv:1602.03264; Tieleman 2008 (persistent chains); Hinton 2002
(contrastive divergence); Nijkamp et al., arXiv:1904.09770 (short-run); Zhao, Xie, Li, "Learning
energy-based generative models via coarse-to-fine expanding and sampling", ICLR 2021 (translation).
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from ebm.energy import LogDensity, contrast, tilt
from ebm.learn.maximum_likelihood_settings import MaximumLikelihoodSettings
from ebm.learn.parts import (
    at_rest,
    check_shape,
    descend,
    kept_states,
    spectral,
)
from ebm.learner import State
from ebm.networks.colour import Coloured
from ebm.samplers.chains import (
    States,
    make_chains,
)
from ebm.samplers.hmc import HmcRecord
from ebm.samplers.langevin import Record
from ebm.samplers.noise import Noise, spawn

REVISION = 1


class MaximumLikelihood(State):
    """Learns f by the contrast of data and chains.

    Args:
        settings: see there.
        below: must be None: there is one stage.
        device: where the network and the chains live.

    Attributes:
        networks: f, under that name.
        optimisers: one, under the same name.
        source: (M, ...), images that chains start at where `start` is `source`; see `begin_at`.
        chains: where the chains of an iteration start.
        through, share: see `ebm.learner.Learner`.

    Raises:
        ValueError: below is given.
    """

    Settings = MaximumLikelihoodSettings

    def __init__(
        self,
        settings: MaximumLikelihoodSettings,
        below: None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        if below is not None:
            raise ValueError("maximum_likelihood has one stage; its below must be null")
        self.settings, self.below, self.device = settings, below, torch.device(device)
        f = settings.network.build()
        self.networks = nn.ModuleDict({"f": spectral(f) if settings.spectral else f})
        self.networks.to(self.device)
        if settings.learned == "head":
            self.f.requires_grad_(False)
            cast(nn.Module, self.f.head).requires_grad_(True)
        self.through, self.share = {"f": self.f}, 1
        self.source: Tensor | None = None
        self.optimisers = {"f": settings.optimiser.build(self.f)}
        self.generator = torch.Generator(self.device)
        self.chains = make_chains(settings.start, self.shape, self.generator)

    @property
    def f(self) -> nn.Module:
        """The network."""
        return self.networks["f"]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one item: (D,) or (C, H, W)."""
        return self.settings.network.shape

    @property
    def size(self) -> int:
        """The side of the images; of points, D."""
        return self.shape[-1]

    @property
    def log_density(self) -> LogDensity:
        """x: (N, ...) -> f(x) + log q(x), (N,), up to one constant."""
        reference = self.settings.reference
        return Coloured(self.f) if reference == "coloured" else tilt(self.f, reference)

    def begin_at(self, source: Tensor) -> None:
        """Take the source images, (M, ...), before `prepare`.

        Raises:
            ValueError: they are of another shape than the data.
        """
        check_shape(source, self.shape)
        self.source = source

    def prepare(self, x: Tensor) -> None:
        """See that the data x: (M, ...) fit, and start the persistent chains from noise.

        Raises:
            ValueError: the data are of another shape, or the chains cannot be shared equally.
        """
        check_shape(x, self.shape)
        observe = getattr(self.f, "observe", None)  # of filters: the data give responses their unit
        if callable(observe):
            observe(x)
        self.chains = make_chains(
            self.settings.start, self.shape, self.generator, self.share, self.source
        )

    def learn(self, batch: Tensor) -> dict[str, Tensor]:
        """Do one iteration on a batch (N, ...); return its figures."""
        data = self.blur(batch)
        start, rows = self.chains.start(len(data), data, self.generator)
        x, record = self.synthesise(start)
        self.chains.keep(rows, x)
        f_data, f_samples = self.through["f"](torch.cat([data, x])).split([len(data), len(x)])
        loss = contrast(f_data, f_samples, self.settings.decay)
        descend(self.f, self.optimisers["f"], loss, self.settings.gradient_clip)
        return {
            "f_data": f_data.detach().mean(),
            "f_samples": f_samples.detach().mean(),
            "strength": record.strength,
            "movement": record.movement,
            "sd_data": data.std(0).mean(),
            "sd_samples": x.std(0).mean(),
            **({"acceptance": record.acceptance.mean()} if isinstance(record, HmcRecord) else {}),
        }

    def synthesise(self, x: Tensor) -> tuple[Tensor, Record | HmcRecord]:
        """Run the K steps of an iteration from x."""
        chain = self.settings.chain
        with at_rest(self.f):
            return chain.run(self.log_density, x, steps=chain.steps, generator=self.generator)

    def noise(self, count: int, seeds: Sequence[int]) -> Tensor:
        """Return starts from noise, (count, ...), one a seed.

        Raises:
            ValueError: the chains know source images alone.
        """
        if self.settings.translates:
            raise ValueError("start is 'source': these chains have no start from noise")
        origin = self.settings.fresh
        like = torch.empty(count, *self.shape, device=self.device)
        e = Noise(like, 1, seeds=seeds).next()
        return origin.scale * (torch.special.erf(e / 2**0.5) if origin.noise == "uniform" else e)

    def starts(self, seeds: Sequence[int]) -> Tensor:
        """Return where chains start that draw samples, (N, ...), one a seed: noise or kept ones."""
        if self.settings.continues:
            return cast(States, self.chains).resume(seeds)
        return self.noise(len(seeds), seeds)

    def blur(self, data: Tensor, seeds: Sequence[int] | None = None) -> Tensor:
        """Return data with noise, without which they may lie on a lower-dimensional set.

        Args:
            data: (N, ...).
            seeds: one an item; None draws from the learner's generator.
        """
        generator = self.generator if seeds is None else None
        noise = Noise(data, 1, seeds=seeds, generator=generator).next()
        return self.inside(data.add(noise, alpha=self.settings.data_noise))

    def inside(self, x: Tensor) -> Tensor:
        """Return x within the bounds that the chains keep to."""
        box = self.settings.chain.box
        return x if box is None else x.clamp(*box)

    def sample(self, seeds: Sequence[int], *, keep: int = 0) -> dict[int, list[Tensor]]:
        """Draw one item a seed by `sample_steps` steps: {size: states, the end last}.

        From noise; or with `sample_from: chains` from the kept state that the seed picks, which is
        an image of the source where chains start there: then the end is its translation. With M
        states kept, N samples go on from about M (1 - exp(-N / M)) of them; those that share one
        have different noise, and are alike where the steps are too few to forget it.
        """
        x = self.starts(spawn(seeds, 1))
        return {self.size: self.translate(x, spawn(seeds, 2), keep=keep)}

    def translate(self, x: Tensor, seeds: Sequence[int], *, keep: int = 0) -> list[Tensor]:
        """Return the states of `sample_steps` steps from x: (N, ...), the end last.

        Args:
            x: where chains begin: source images, of which the ends are the translations.
            seeds: of the chains' noise, one each.
            keep: keep the state every so many steps, x first; 0 keeps the end alone.
        """
        chain = self.settings.chain
        with at_rest(self.f):
            x, record = chain.run(
                self.log_density,
                x.to(self.device),
                steps=chain.sample_steps,
                seeds=seeds,
                keep=keep,
            )
        return kept_states(record.path, x, chain.sample_steps, keep)

    @property
    def feature_network(self) -> nn.Module:
        """The network whose features `features` returns."""
        return self.f

    def features(self, x: Tensor) -> Tensor:
        """Return learned features, (N, F), of x: (N, ...)."""
        with at_rest(self.f):
            return self.f.features(x.to(self.device))  # type: ignore[operator]

    def score(self, x: Tensor) -> Tensor:
        """Return log p(x) up to a constant, (N,), of x: (N, ...): f(x) + log q(x)."""
        with at_rest(self.f):
            return self.log_density(x.to(self.device))

    def kept(self) -> Tensor | None:
        """Return what to keep beside the networks: states of the persistent chains, or None."""
        return self.chains.kept()

    def restore(self, kept: Tensor | None) -> None:
        """Take what `kept` returned.

        Raises:
            ValueError: there are no chains, and samples are to go on from them.
        """
        if kept is None and self.settings.continues:
            raise ValueError("model.pt holds no chains to go on from; run its training stage again")
        if kept is not None:
            check_shape(kept, self.shape)
            cast(States, self.chains).restore(kept)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next iteration depends on."""
        return {
            **super().state_dict(),
            "chains": self.chains.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        super().load_state_dict(state)
        self.chains.load_state_dict(state["chains"])
