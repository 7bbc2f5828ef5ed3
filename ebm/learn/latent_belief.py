"""Latent belief: where somebody walks, by an energy on a latent belief given the past (S40).

    p(z | c) = exp(f(z, c)) N(z; 0, s^2 I) / Z(c)      prior of the belief, c the history code
    L = E_q[ |p - p(c, z)|^2 / (2 sd_p^2) + |y - y(c, z)|^2 / (2 sd_y^2) ]
        + KL(q(z | c, p) || N(0, s^2 I)) - E_q f(z, c) + E_prior f(z, c)

p is the plan, the positions at some of the frames ahead, y those at all. z of the posterior q is
amortised, z of the prior comes from Langevin chains, given c; f sees c as a constant. Descent of L
ascends the evidence's lower bound: E_q f - E_prior f is the gradient of the log prior. Of E_q f the
posterior is taught the share `lead` alone: with all of it q runs ahead of what short chains can
follow, and f and q drive each other off.

Source: Pang, Zhao, Xie, Wu, "Trajectory Prediction with Latent Belief Energy-Based Model", CVPR
2021, arXiv:2104.03086.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from ebm.energy import contrast, tilt
from ebm.learn.belief_settings import LatentBeliefSettings
from ebm.learn.crowd import Crowd
from ebm.learn.parts import at_rest, kept_states
from ebm.learner import State
from ebm.networks.belief import BeliefEnergy, Features, Forecaster, Frame, frame
from ebm.samplers.hmc import HmcRecord
from ebm.samplers.langevin import Record
from ebm.samplers.noise import Noise, spawn

REVISION = 1

EXAMPLES = 64  # pasts of training that are kept, for those who sample without giving one
RARE = 0.9995  # share of the steps of training below the one that is hardly ever passed


class Examples(nn.Module):
    """What is kept of the training data with the model.

    Args:
        seen: S.

    Attributes:
        past: (EXAMPLES, S, 2), some pasts.
        steps: (2,), the median length of a step from frame to frame, and one hardly ever passed.
    """

    past: Tensor
    steps: Tensor

    def __init__(self, seen: int) -> None:
        super().__init__()
        self.register_buffer("past", torch.zeros(EXAMPLES, seen, 2))
        self.register_buffer("steps", torch.zeros(2))

    def keep(self, past: Tensor) -> None:
        """Keep what is wanted of all pasts: (M, S, 2)."""
        rows = torch.linspace(0, len(past) - 1, EXAMPLES, device=past.device).long()
        self.past.copy_(past[rows])
        far = torch.linalg.vector_norm(past.diff(dim=1), dim=2).flatten().sort().values
        places = [int(share * (len(far) - 1)) for share in (0.5, RARE)]
        self.steps.copy_(far[places])


class Forecast(NamedTuple):
    """Predictions, in data units.

    Attributes:
        plan: (N, K, P, 2).
        way: (N, K, T, 2).
        z: (N, K, Z), the beliefs.
    """

    plan: Tensor
    way: Tensor
    z: Tensor


class LatentBelief(State):
    """Learns a belief's energy with the networks that read it and write it.

    Args:
        settings: see there.
        below: must be None: all is learned together.
        device: where networks and chains live.

    Attributes:
        networks: forecaster and f, and the pasts that are kept as examples.
        optimisers: one of each.
        labelled: True; a label is the window of a trajectory, whose rows are neighbours.
        through, share: see `ebm.learner.Learner`.

    Raises:
        ValueError: below is given.
    """

    Settings = LatentBeliefSettings
    labelled = True

    def __init__(
        self, settings: LatentBeliefSettings, below: None = None, device: torch.device | str = "cpu"
    ) -> None:
        if below is not None:
            raise ValueError("latent_belief has one stage; its below must be null")
        self.settings, self.below, self.device = settings, below, torch.device(device)
        asked = settings.forecast
        self.seen, self.shape = asked.seen, asked.shape
        self.networks = nn.ModuleDict(
            {
                "forecaster": asked.build(),
                "f": BeliefEnergy(asked.latent, asked.code, asked.energy),
                "examples": Examples(asked.seen),
            }
        ).to(self.device)
        self.optimisers = {
            "forecaster": settings.optimiser.build(self.forecaster),
            "f": settings.energy.build(self.f),
        }
        self.through = {key: self.networks[key] for key in self.optimisers}
        self.share = 1
        self.generator = torch.Generator(self.device)
        self.windows: Tensor | None = None
        self.crowd: Crowd | None = None

    @property
    def forecaster(self) -> Forecaster:
        """The networks but for the energy."""
        return cast(Forecaster, self.networks["forecaster"])

    @property
    def f(self) -> nn.Module:
        """The energy's network, of z and c."""
        return self.networks["f"]

    @property
    def examples(self) -> Examples:
        """What is kept of the training data."""
        return cast(Examples, self.networks["examples"])

    @property
    def steps(self) -> Tensor:
        """The median length of a step of the training data, and one hardly ever passed, (2,)."""
        return self.examples.steps

    @property
    def size(self) -> int:
        """Frames of a trajectory, S + T."""
        return self.shape[0]

    def check_labels(self, labels: Tensor) -> None:
        """Take all windows: (M,), whose rows are neighbours."""
        self.windows = labels.to(self.device)

    def prepare(self, x: Tensor) -> None:
        """Look at all trajectories x: (M, S + T, 2), and keep some pasts as examples.

        Raises:
            ValueError: they are of another shape, or rows of a window are apart.
        """
        if tuple(x.shape[1:]) != self.shape:
            raise ValueError(
                f"the data's items are of shape {tuple(x.shape[1:])}; model.forecast takes "
                f"{self.shape}: seen + the last frame of plan"
            )
        past = x[:, : self.seen].to(self.device)
        self.examples.keep(past)
        if self.settings.forecast.social is not None and self.windows is not None:
            self.crowd = Crowd(past, self.windows)

    def learn(self, batch: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Do one iteration on trajectories (N, S + T, 2) in windows (N,); return its figures."""
        asked = self.settings
        past, future, beside, there = self.varied(batch, labels)
        e = self.draw(len(batch), asked.forecast.latent)
        q, z, plan, way = self.through["forecaster"](past, beside, there, future, e)
        c = q.c.detach()
        few = c[: asked.chains]
        start = asked.reference * self.draw(len(few), 1, z.shape[1])
        chained, record = self.chain(
            few, start, asked.reference, steps=asked.chain.steps, generator=self.generator
        )
        chained = chained.squeeze(1)
        led = z.detach() + asked.lead * (z - z.detach())  # z, through which `lead` of it is learned
        f = self.through["f"](torch.cat([led, chained]), torch.cat([c, few]))
        f_data, f_samples = f.split([len(c), len(few)])
        unit, true_plan = asked.forecast.unit, future[:, self.forecaster.plan_frames]
        away = squares(plan - true_plan) / (asked.sd_plan / unit) ** 2
        away = away + squares(way - future) / (asked.sd_way / unit) ** 2
        kl = divergence(q.mean, q.log_var, asked.reference)
        loss = (away / 2 + kl).mean() + contrast(f_data, f_samples, asked.decay)
        for optimiser in self.optimisers.values():
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for optimiser in self.optimisers.values():
            optimiser.step()
        ways = torch.linalg.vector_norm((way - future).detach(), dim=2)
        return {
            "loss": loss.detach(),
            "kl": kl.detach().mean(),
            "reconstruction": unit * ways.mean(),
            "f_data": f_data.detach().mean(),
            "f_samples": f_samples.detach().mean(),
            "sd_data": z.detach().std(0).mean(),
            "sd_samples": chained.std(0).mean(),
            "strength": record.strength,
            "movement": record.movement,
        }

    def varied(self, batch: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return past, future, neighbours' pasts and where there are any, in the frame, varied.

        Some trajectories are mirrored, each is faster or slower, with its neighbours. One that is
        walked backwards has none, as their ways back are not known.
        """
        beside, there = self.neighbours(batch[:, : self.seen], labels, self.crowd)
        if self.settings.reverse:
            back = self.uniform(len(batch)) < 0.5
            batch = torch.where(back[:, None, None], batch.flip(1), batch)
            there = there & ~back[:, None]
        here = self.frame(batch[:, : self.seen])
        speed = self.settings.speeds ** (2 * self.uniform(len(batch)) - 1)
        side = torch.where(self.uniform(len(batch)) < self.settings.mirror, -1.0, 1.0)
        factor = torch.stack([speed, side * speed], 1)[:, None]
        inside, beside = here.enter(batch) * factor, here.enter(beside) * factor[:, None]
        return inside[:, : self.seen], inside[:, self.seen :], beside, there

    def frame(self, past: Tensor) -> Frame:
        """Return the frames of agents seen at `past`: (N, S, 2)."""
        return frame(past, self.settings.forecast.unit, self.settings.forecast.turned)

    def neighbours(
        self, past: Tensor, windows: Tensor | None, crowd: Crowd | None
    ) -> tuple[Tensor, Tensor]:
        """Return neighbours, (N, M, S, 2), and where there are any, (N, M); M is 0 of none."""
        social = self.settings.forecast.social
        if social is None or crowd is None or windows is None:
            none = past.new_zeros(len(past), 0, self.seen, 2)
            return none, none[..., 0, 0].bool()
        return crowd.beside(past, windows, social.neighbours, social.reach)

    def draw(self, *shape: int) -> Tensor:
        """Return standard normal noise of this shape."""
        return torch.empty(shape, device=self.device).normal_(generator=self.generator)

    def uniform(self, count: int) -> Tensor:
        """Return numbers of [0, 1), (count,)."""
        return torch.empty(count, device=self.device).uniform_(generator=self.generator)

    def chain(
        self, c: Tensor, start: Tensor, s: float, **options: Any
    ) -> tuple[Tensor, Record | HmcRecord]:
        """Run chains on f(z, c) - |z|^2 / (2 s^2); return the beliefs, (N, K, Z), and the record.

        Args:
            c: (N, D).
            start: (N, K, Z), where they start; the K beliefs of an agent are one chain.
            s: sd of the Gaussian.
            options: steps, the source of noise, and what is kept.
        """
        log_density = tilt(lambda z: self.f(z, c[:, None]).sum(1), s)
        with at_rest(self.f):
            return self.settings.chain.run(log_density, start, **options)

    def forecast(
        self,
        past: Tensor,
        seeds: Sequence[int],
        *,
        count: int,
        windows: Tensor | None = None,
        crowd: Crowd | None = None,
        widen: float = 1.0,
        energy: bool = True,
        keep: int = 0,
    ) -> list[Forecast]:
        """Predict where agents walk, several times each.

        Args:
            past: (N, S, 2), positions seen, in data units.
            seeds: N integers; the predictions of an agent depend on its own alone.
            count: K, predictions of an agent.
            windows: (N,), the window of each.
            crowd: all who are seen in these windows; None: each is alone.
            widen: s is so many times as large: a wider fan.
            energy: False takes the chains' starts, of N(0, s^2 I), as if f were 0.
            keep: keep the chains' states every so many steps; 0 keeps the end alone.

        Returns:
            The predictions by the states kept, the end last.
        """
        past, here = past.to(self.device), self.frame(past.to(self.device))
        beside, there = self.neighbours(past, windows, crowd)
        like = past.new_empty(len(past), count, self.settings.forecast.latent)
        s, steps = widen * self.settings.reference, self.settings.chain.sample_steps
        start = s * Noise(like, 1, seeds=spawn(seeds, 0)).next()
        with torch.no_grad():
            c = self.forecaster.history(here.enter(past), here.enter(beside), there)
            states = [start]
            if energy:
                z, record = self.chain(c, start, s, steps=steps, seeds=spawn(seeds, 1), keep=keep)
                states = kept_states(record.path, z, steps, keep)
            return [self.read(here, c, z) for z in states]

    def read(self, here: Frame, c: Tensor, z: Tensor) -> Forecast:
        """Return what beliefs z: (N, K, Z) say, given c: (N, D), in data units."""
        plan, way = self.forecaster.decode(c[:, None].expand(*z.shape[:2], -1), z)
        return Forecast(here.leave(plan), here.leave(way), z)

    def sample(self, seeds: Sequence[int], *, keep: int = 0) -> dict[int, list[Tensor]]:
        """Draw one trajectory a seed, (N, S + T, 2): the past of an example, and a way from it."""
        examples = self.examples.past
        past = examples[[seed % len(examples) for seed in seeds]]
        states = self.forecast(past, seeds, count=1, keep=keep)
        return {self.size: [torch.cat([past, state.way[:, 0]], 1) for state in states]}

    @property
    def feature_network(self) -> nn.Module:
        """The codes of a whole trajectory."""
        asked = self.settings.forecast
        return Features(self.forecaster, self.seen, asked.unit, asked.turned)

    def features(self, x: Tensor) -> Tensor:
        """Return history code and the belief's mean, (N, D + Z), of x: (N, S + T, 2)."""
        network = cast(Features, self.feature_network)
        return network.features(x.to(self.device))

    def score(self, x: Tensor) -> Tensor:
        """Return log p(z | c) + log Z(c), (N,), at the belief's mean z, of x: (N, S + T, 2).

        Nobody is beside them. High is likely, among those with the same past.
        """
        c, z = self.features(x).split(
            [self.settings.forecast.code, self.settings.forecast.latent], 1
        )
        value: Tensor = self.f(z, c) - squares(z) / (2 * self.settings.reference**2)
        return value


def squares(x: Tensor) -> Tensor:
    """Return the sum of squares of each item of x: (N, ...), (N,)."""
    return x.flatten(1).square().sum(1)


def divergence(mean: Tensor, log_var: Tensor, sd: float) -> Tensor:
    """Return KL(N(mean, diag(exp(log_var))) || N(0, sd^2 I)), (N,), in nats.

    Args:
        mean, log_var: (N, Z).
        sd: s.
    """
    ratio = log_var - 2 * math.log(sd)
    return (ratio.exp() + (mean / sd).square() - 1 - ratio).sum(1) / 2
