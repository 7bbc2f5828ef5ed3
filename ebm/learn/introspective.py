"""Introspective learning: an energy-based model as a sequence of classifiers (S07).

    p_0 = q,    p_t(x) = p_{t-1}(x) exp(f_t(x)) / Z_t = q(x) exp(f_1(x) + ... + f_t(x)) / Z
    f_t: the log odds of data (+) against pseudo-negatives from p_{t-1} (-), at equal numbers
    L   = E_data softplus(-f_t) + E_{p_{t-1}} softplus(f_t)

Each round is a training stage: it learns f_t, then its pseudo-negatives climb f_t until it takes
them for data, and are the next round's. At the optimum f_t is log p_data - log p_{t-1}, so that the
sum of the log odds is log p_data - log q, normalised. The first round alone is noise contrastive
estimation (S18); later ones say what it got wrong.

Within a round, every `refresh` iterations, some of what it began with climbs f_t as it is by then,
and joins what it learns from, of which a quarter stays as it was. Samples climb from there, too, so
that f_t tells data from all that lies on their way; it is then no ratio of two densities. What has
climbed an earlier f_t must not be the start: f_t would be asked about ends alone, and from q its
chains lead nowhere.

Where a chain stops: at log odds of s logit(u), u uniform, one a chain. With s = 1 it has stopped by
log odds f with the probability sigmoid(f), that of the classifier itself; with s = 0, as published,
all stop at even odds, and are alike. Without a stop, Langevin chains draw from p_t.

Source: Lazarow, Jin, Tu, "Introspective neural networks for generative modeling", ICCV 2017;
Tu, "Learning generative models via discriminative approaches", CVPR 2007.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from ebm.energy import LogDensity, tilt
from ebm.learn.parts import (
    ChainSettings,
    OptimiserSettings,
    at_rest,
    check_shape,
    descend,
    kept_states,
)
from ebm.learner import State
from ebm.networks import NetworkSettings
from ebm.samplers.chains import KEPT, Fresh
from ebm.samplers.noise import Noise, spawn
from ebm.settings import Settings, missing

REVISION = 3

SHARE = 8  # as many as one in so many of the pool climb at a refresh
STAY = 4  # one in so many of the pool is what the round began with, to its end


class IntrospectiveSettings(Settings):
    """A round: its classifier, and how pseudo-negatives climb it afterwards."""

    network: NetworkSettings
    start: Fresh = Field(description="q, the first pseudo-negatives; the same in all rounds")
    negatives: int = Field(ge=SHARE, description="pseudo-negatives of a round")
    refresh: int | None = Field(
        ge=1, description="iterations after which some of them climb within a round; null: never"
    )
    stop: float | None = Field(
        ge=0,
        description="s, spread of the log odds at which a chain stops; 0: at even odds; null: "
        "never, chains then draw from the density of all rounds",
    )
    chain: ChainSettings
    data_noise: float = Field(ge=0, description="noise added to both sides while learning")
    decay: float = Field(ge=0, description="weight of the squared log odds in the loss")
    optimiser: OptimiserSettings
    gradient_clip: float | None = Field(
        default=None, gt=0, exclude_if=missing, description="limit of the parameters' gradient norm"
    )

    @model_validator(mode="after")
    def check_kept(self) -> "IntrospectiveSettings":
        """Pseudo-negatives lie beside the model, for the next round."""
        most = KEPT // torch.Size(self.network.shape).numel()
        if self.negatives > most:
            raise ValueError(f"negatives is {self.negatives}; at most {most} of this size are kept")
        return self

    @property
    def channels(self) -> int:
        """Channels of an image; values of a point."""
        return self.network.shape[0]


@dataclass(frozen=True)
class Stopped:
    """x -> min(f(x), level), (N,): a chain that has reached its level has no gradient left."""

    f: LogDensity
    level: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Return it of x: (N, ...)."""
        return torch.minimum(self.f(x), self.level)


class Introspective(State):
    """Learns f_t by telling data from pseudo-negatives.

    Args:
        settings: of this round.
        below: the round before, None of the first.
        device: where the networks and the pseudo-negatives live.

    Attributes:
        networks: f, this round's classifier.
        optimisers: one, under the same name.
        negatives: (M, ...), the pseudo-negatives that this round begins with.
        pool: (M, ...), those that it tells data from: a quarter of the same, and what climbed.
        step: iterations done.
        through, share: see `ebm.learner.Learner`.

    Raises:
        ValueError: the rounds have items of two shapes, or two q.
    """

    Settings = IntrospectiveSettings

    def __init__(
        self,
        settings: IntrospectiveSettings,
        below: "Introspective | None" = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.settings, self.below, self.device = settings, below, torch.device(device)
        self.check_below()
        self.networks = nn.ModuleDict({"f": settings.network.build()}).to(self.device)
        self.through, self.share = {"f": self.f}, 1
        self.optimisers = {"f": settings.optimiser.build(self.f)}
        self.generator = torch.Generator(self.device)
        self.negatives = torch.zeros(settings.negatives, *self.shape, device=self.device)
        self.pool, self.step = self.negatives, 0

    def check_below(self) -> None:
        """Refuse a round below of another shape or another q.

        Raises:
            ValueError: it is so.
        """
        for name, own, under in (
            ("network", self.shape, self.below and self.below.shape),
            ("start", self.settings.start, self.below and self.below.settings.start),
        ):
            if self.below is not None and own != under:
                raise ValueError(
                    f"model.{name} is of {own}, and of {under} in the round below; give the same"
                )

    @property
    def f(self) -> nn.Module:
        """This round's classifier."""
        return self.networks["f"]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one item: (D,) or (C, H, W)."""
        return self.settings.network.shape

    @property
    def size(self) -> int:
        """The side of the images; of points, D."""
        return self.shape[-1]

    def rounds(self) -> "Iterator[Introspective]":
        """Go through the rounds, the first one first."""
        if self.below is not None:
            yield from self.below.rounds()
        yield self

    def log_odds(self, x: Tensor) -> Tensor:
        """Return f_1(x) + ... + f_t(x), (N,), of x: (N, ...): log p_t - log q up to a constant."""
        return torch.stack([each.f(x) for each in self.rounds()]).sum(0)

    @property
    def log_density(self) -> LogDensity:
        """x: (N, ...) -> log p_t(x), (N,), up to one constant."""
        start = self.settings.start
        return tilt(self.log_odds, start.scale if start.noise == "gaussian" else None)

    def prepare(self, x: Tensor) -> None:
        """See that the data x: (M, ...) fit, and make the pseudo-negatives of this round.

        Raises:
            ValueError: the data are of another shape, or there are fewer pseudo-negatives below.
        """
        check_shape(x, self.shape)
        if depth := sum(1 for _ in self.rounds()) - 1:  # no round repeats the draws of another
            self.generator.manual_seed(spawn([self.generator.initial_seed()], depth)[0])
        self.negatives = self.inherited(self.settings.negatives)
        self.pool, self.step = self.negatives.clone(), 0

    def inherited(self, count: int) -> Tensor:
        """Return draws from q, (count, ...), or what the round below took for data.

        Raises:
            ValueError: there are fewer below.
        """
        if self.below is None:
            return self.settings.start.draw((count, *self.shape), self.generator)
        there = self.below.negatives
        if len(there) < count:
            raise ValueError(
                f"negatives is {count}, and {len(there)} in the round below; give as many"
            )
        steps = self.below.settings.chain.sample_steps
        return self.below.climb(there[:count], steps, self.generator)[0]

    def climb(
        self,
        x: Tensor,
        steps: int,
        generator: torch.Generator | None = None,
        seeds: Sequence[int] | None = None,
        keep: int = 0,
    ) -> tuple[Tensor, list[Tensor]]:
        """Let pseudo-negatives x: (N, ...) climb this round's f; return them and the states kept.

        Args:
            x: those of this round.
            steps: of the chains, at most; they stop by themselves before.
            generator: of the levels and the noise; None: by seeds.
            seeds: one a chain, which then does not depend on the others.
            keep: steps between the states kept; 0 keeps none.
        """
        chain, level = self.settings.chain, self.levels(len(x), generator, seeds)
        log_density = self.log_density if level is None else Stopped(self.f, level)
        noise = None if seeds is None else spawn(seeds, 2)
        with at_rest(self.f):
            end, record = chain.run(
                log_density, x, steps=steps, seeds=noise, generator=generator, keep=keep
            )
        return end, record.path

    def levels(
        self, count: int, generator: torch.Generator | None, seeds: Sequence[int] | None
    ) -> Tensor | None:
        """Return s logit(u), (count,), the log odds at which each chain stops; None: never."""
        if self.settings.stop is None:
            return None
        like = torch.empty(count, 1, device=self.device)
        drawn = None if seeds is None else spawn(seeds, 1)
        e = Noise(like, 1, seeds=drawn, generator=generator).next()[:, 0]
        u = torch.special.ndtr(e).clamp(1e-6, 1 - 1e-6)
        return self.settings.stop * torch.logit(u)

    def learn(self, batch: Tensor) -> dict[str, Tensor]:
        """Do one iteration on a batch (N, ...) and as many pseudo-negatives; return its figures."""
        data, x = (self.blur(each) for each in (batch, self.pool[self.rows()[: len(batch)]]))
        f_data, f_samples = self.through["f"](torch.cat([data, x])).split([len(data), len(x)])
        loss = F.softplus(-f_data).mean() + F.softplus(f_samples).mean()
        squares = f_data.square().mean() + f_samples.square().mean()
        regular = loss + self.settings.decay * squares
        descend(self.f, self.optimisers["f"], regular, self.settings.gradient_clip)
        self.step += 1
        if self.settings.refresh and self.step % self.settings.refresh == 0:
            self.renew()
        return {
            "loss": loss.detach(),
            "accuracy": ((f_data > 0).float().mean() + (f_samples < 0).float().mean()) / 2,
            "f_data": f_data.detach().mean(),
            "f_samples": f_samples.detach().mean(),
            "sd_data": data.std(0).mean(),
            "sd_samples": x.std(0).mean(),
        }

    def rows(self) -> Tensor:
        """Return the rows of the pool, (M,), in an order drawn anew."""
        return torch.randperm(len(self.pool), generator=self.generator, device=self.device)

    def renew(self) -> None:
        """Let some of what the round began with climb; they take the places of others."""
        count = len(self.pool) // SHARE
        start = self.negatives[self.rows()[:count]]
        end, _ = self.climb(start, self.settings.chain.steps, self.generator)
        rows = self.rows()
        self.pool[rows[rows >= len(self.pool) // STAY][:count]] = end

    def blur(self, x: Tensor) -> Tensor:
        """Return x: (N, ...) with noise, within the chains' bounds: alike for both sides."""
        noise = torch.empty_like(x).normal_(generator=self.generator)
        x, box = x.add(noise, alpha=self.settings.data_noise), self.settings.chain.box
        return x if box is None else x.clamp(*box)

    def first(self, seeds: Sequence[int]) -> Tensor:
        """Return draws from q, (N, ...), one a seed."""
        q = self.settings.start
        e = Noise(torch.empty(len(seeds), *self.shape, device=self.device), 1, seeds=seeds).next()
        return q.scale * (torch.special.erf(e / 2**0.5) if q.noise == "uniform" else e)

    def sample(self, seeds: Sequence[int], *, keep: int = 0) -> dict[int, list[Tensor]]:
        """Draw one item a seed, from q through all rounds: {size: states, the end last}."""
        x = self.first(spawn(seeds, 1))
        path = [x]
        for number, each in enumerate(self.rounds(), 2):
            steps = each.settings.chain.sample_steps
            x, states = each.climb(x, steps, seeds=spawn(seeds, number), keep=keep)
            path += kept_states(states, x, steps, keep)[1:]
        return {self.size: path if keep else [x]}

    @property
    def feature_network(self) -> nn.Module:
        """The network whose features `features` returns: this round's."""
        return self.f

    def features(self, x: Tensor) -> Tensor:
        """Return this round's learned features, (N, F), of x: (N, ...)."""
        with at_rest(self.f):
            return self.f.features(x.to(self.device))  # type: ignore[operator]

    def score(self, x: Tensor) -> Tensor:
        """Return log p_t(x) up to a constant, (N,), of x: (N, ...)."""
        with at_rest(self.f):
            return self.log_density(x.to(self.device))

    def kept(self) -> Tensor:
        """Return what to keep beside the networks: the pseudo-negatives of this round."""
        return self.negatives.cpu().clone()

    def restore(self, kept: Tensor | None) -> None:
        """Take what `kept` returned.

        Raises:
            ValueError: there is nothing: the next round would have no pseudo-negatives.
        """
        if kept is None:
            raise ValueError("model.pt holds no pseudo-negatives; run its training stage again")
        check_shape(kept, self.shape)
        self.negatives = kept.to(self.device)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next iteration depends on."""
        return {
            **super().state_dict(),
            "negatives": self.negatives.clone(),
            "pool": self.pool.clone(),
            "step": self.step,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        super().load_state_dict(state)
        self.negatives, self.pool = state["negatives"].clone(), state["pool"].clone()
        self.step = state["step"]
