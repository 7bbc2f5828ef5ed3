"""Diffusion recovery likelihood: one f(x, t) for all noise levels (S11).

    x_{t+1} = a_{t+1} x_t + sigma_{t+1} e,    y_t = a_{t+1} x_t,    t = 0, ..., T - 1
    p(y_t | x_{t+1})  =  exp( f(y_t, t) / s_t^2 - |x_{t+1} - y_t|^2 / (2 sigma_{t+1}^2) ) / Z

For a batch: draw t, x_t and x_{t+1};
    y      <-  K Langevin steps on log p(y | x_{t+1}), from x_{t+1}                (synthesis)
    theta  <-  theta + eta w_t ( grad f(y_t, t) - grad f(y, t) )                   (analysis)
The last level has no x_T to recover from: y starts at N(0, I), with a = sigma = 1.

To sample: x_T ~ N(0, I); for t = T - 1, ..., 0: K steps from x_{t+1}, and x_t = y / a_{t+1}.

Source: Gao, Song, Poole, Wu, Kingma, "Learning Energy-Based Models by Diffusion Recovery
Likelihood", arXiv:2012.08125: algorithms 1 and 2, T = 6.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ebm.energy import in_precision
from ebm.learn.parts import check_shape, descend, settled, spectral
from ebm.learn.recovery_settings import DIFFUSION, RecoverySettings
from ebm.learner import State
from ebm.samplers.langevin import Record, langevin
from ebm.samplers.noise import Noise, spawn

REVISION = 1

BETAS = (1e-4, 0.02)  # of the fine diffusion that the levels are taken from, first and last
START, HELD = 1000, 2000  # keys of a sample's seeds: of x_T, and of the noise on held pixels


class Schedule(NamedTuple):
    """What each level t = 0, ..., T - 1 has, (T,) each.

    Attributes:
        signal, noise: x_t = signal_t x + noise_t e, of an image x.
        a, sigma: x_{t+1} = a_{t+1} x_t + sigma_{t+1} e; both 1 at the last level.
        step: s_t, the step of the chain: s_t^2 = b^2 sigma_{t+1}^2 noise_t / noise_0.
        weight: w_t = sigma_1 / sigma_{t+1}, of the level's loss.
        pull: 1 / sigma_{t+1}^2, of the recovery term; 0 at the last level, which has none.
    """

    signal: Tensor
    noise: Tensor
    a: Tensor
    sigma: Tensor
    step: Tensor
    weight: Tensor
    pull: Tensor

    def at(self, t: Tensor, axes: int) -> "Schedule":
        """Return the values at levels t: (N,), each (N, 1, ...), to go with x of `axes` axes."""
        return Schedule(*(value[t].reshape(-1, *[1] * (axes - 1)) for value in self))


def schedule(levels: Sequence[int], scale: float) -> Schedule:
    """Return the schedule of x_0, ..., x_T at these steps of the diffusion.

    Args:
        levels: T + 1 rising steps.
        scale: b.
    """
    betas = torch.linspace(*BETAS, DIFFUSION, dtype=torch.float64)
    kept = (1 - betas).cumprod(0)[list(levels)]  # the square of the signal
    noise = (1 - kept).sqrt()
    a, last = (kept[1:] / kept[:-1]).sqrt(), len(kept) - 2
    sigma, recovers = (1 - a.square()).sqrt(), torch.arange(last + 1) < last
    a, sigma = torch.where(recovers, a, 1.0), torch.where(recovers, sigma, 1.0)
    step = scale * sigma * (noise[:-1] / noise[0]).sqrt()
    parts = (kept[:-1].sqrt(), noise[:-1], a, sigma, step, sigma[0] / sigma, recovers / sigma**2)
    return Schedule(*(part.float() for part in parts))


class Recovery(State):
    """Learns f(x, t) by recovering what is less noisy from what is noisier.

    Args:
        settings: see there.
        below: must be None: all levels are learned together.
        device: where the network and the chains live.

    Attributes:
        networks: f, under that name.
        optimisers: one, under the same name.
        schedule: of the levels.
        through, share: see `ebm.learner.Learner`.

    Raises:
        ValueError: below is given.
    """

    Settings = RecoverySettings

    def __init__(
        self, settings: RecoverySettings, below: None = None, device: torch.device | str = "cpu"
    ) -> None:
        if below is not None:
            raise ValueError("recovery has one stage; its below must be null")
        self.settings, self.below, self.device = settings, below, torch.device(device)
        self.levels = len(settings.levels) - 1
        made = schedule(settings.levels, settings.chain.step_scale)
        self.schedule = Schedule(*(part.to(self.device) for part in made))
        f = settings.network.build(self.levels)
        self.networks = nn.ModuleDict({"f": spectral(f) if settings.spectral else f})
        self.networks.to(self.device)
        self.through, self.share = {"f": self.f}, 1
        self.optimisers = {"f": settings.optimiser.build(self.f)}
        self.generator = torch.Generator(self.device)

    @property
    def f(self) -> nn.Module:
        """The network."""
        return self.networks["f"]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image, (C, H, W)."""
        return self.settings.network.shape

    @property
    def size(self) -> int:
        """The side of the images."""
        return self.shape[-1]

    def prepare(self, x: Tensor) -> None:
        """See that the data x: (M, C, H, W) fit.

        Raises:
            ValueError: they are of another shape.
        """
        check_shape(x, self.shape)

    def learn(self, batch: Tensor) -> dict[str, Tensor]:
        """Do one iteration on a batch (N, C, H, W) in [-1, 1]; return its figures by level.

        The rows take the levels in turn, so that t is as uniform as their number allows.

        Raises:
            ValueError: a level has fewer than two rows.
        """
        if len(batch) < 2 * self.levels:
            raise ValueError(
                f"fit.batch gives {len(batch)} images for {self.levels} levels; each needs two"
            )
        t = torch.arange(len(batch), device=self.device) % self.levels
        at = self.schedule.at(t, batch.ndim)
        data = at.a * (at.signal * batch + at.noise * self.draw(batch))
        start = torch.where(at.pull > 0, data, 0) + at.sigma * self.draw(batch)
        y, record = self.synthesise(start, t)
        both = self.through["f"](torch.cat([data, y]), torch.cat([t, t]))
        f_data, f_samples = both.split([len(data), len(y)])
        loss = (at.weight.flatten() * (f_samples - f_data)).mean()
        descend(self.f, self.optimisers["f"], loss, None)
        return self.figures((f_data.detach(), f_samples.detach()), (data, y), record)

    def figures(
        self, f: tuple[Tensor, Tensor], x: tuple[Tensor, Tensor], record: Record
    ) -> dict[str, Tensor]:
        """Return the figures of each level, whose rows are every `levels`-th: f and x of both."""
        found: dict[str, Tensor] = {}
        for level in range(self.levels):
            values = [each[level :: self.levels] for each in (*f, *x)]
            named = zip(("f_data", "f_samples", "sd_data", "sd_samples"), values, strict=True)
            found |= {
                f"level-{level}/{name}": v.mean() if v.ndim == 1 else v.std(0).mean()
                for name, v in named
            }
            found[f"level-{level}/strength"] = record.strength
            found[f"level-{level}/movement"] = record.movement
        return found

    def draw(self, like: Tensor) -> Tensor:
        """Return standard normal noise shaped like an image batch."""
        return torch.empty_like(like).normal_(generator=self.generator)

    def synthesise(self, start: Tensor, t: Tensor) -> tuple[Tensor, Record]:
        """Run the K steps of an iteration from x_{t+1}: (N, ...), at levels t: (N,)."""
        with settled(self.f):
            return self.chain(start, t, temperature=1.0, generator=self.generator)

    def chain(
        self,
        start: Tensor,
        t: Tensor,
        *,
        temperature: float,
        steps: int | None = None,
        pace: float = 1.0,
        noisy: Tensor | None = None,
        **options: Any,
    ) -> tuple[Tensor, Record]:
        """Run chains on log p(y | x_{t+1}); return y, and the record with its path in y, too.

        With y = s_t u, the chain in u has steps of size 1 at every level.

        Args:
            start: (N, ...), where they start.
            t: (N,), the levels.
            temperature: T.
            steps: None is K.
            pace: the size of a step in u.
            noisy: x_{t+1}; None is start.
            options: of `langevin`, its source of noise among them.
        """
        at = self.schedule.at(t, start.ndim)
        noisy = start if noisy is None else noisy

        def log_density(u: Tensor) -> Tensor:
            y = at.step * u
            away = (at.pull * (noisy - y).square()).flatten(1).sum(1)
            return self.f(y, t) / at.step.flatten().square() - away / 2

        learning = options.get("seeds") is None
        precision = self.settings.chain.precision if learning else "float32"
        u, record = langevin(
            in_precision(log_density, precision),
            start / at.step,
            steps=self.settings.chain.steps if steps is None else steps,
            step_size=pace * self.settings.chain.step_size,
            temperature=temperature,
            **options,
        )
        return at.step * u, record._replace(path=[at.step * state for state in record.path])

    def starts(self, seeds: Sequence[int]) -> Tensor:
        """Return x_T ~ N(0, I), (N, ...), one a seed."""
        like = torch.empty(len(seeds), *self.shape, device=self.device)
        return Noise(like, 1, seeds=spawn(seeds, START)).next()

    def sample(
        self,
        seeds: Sequence[int],
        *,
        fixed: tuple[Tensor, Tensor] | None = None,
        pace: float = 1.0,
        keep: int = 0,
    ) -> dict[int, list[Tensor]]:
        """Draw one image a seed, from x_T down to x_0: {size: states, the end last}.

        Args:
            seeds: N integers.
            fixed: (image, mask), (N, C, H, W) each: where the boolean mask is True each level
                holds the image with the level's noise, and the end the image itself (inpainting).
            pace: step size of the chains, as a share of that of learning.
            keep: keep the state every so many steps of a level; 0 keeps the end alone.
        """
        states = self.run_down(self.starts(seeds), seeds, fixed=fixed, pace=pace, keep=keep)
        return {self.size: states if keep else states[-1:]}

    def run(self, x: Tensor, seeds: Sequence[int]) -> Tensor:
        """Return x_0 from x_T: (N, ...); two rows with one seed see the same noise."""
        return self.run_down(x.to(self.device), seeds)[-1]

    def run_down(
        self,
        x: Tensor,
        seeds: Sequence[int],
        *,
        fixed: tuple[Tensor, Tensor] | None = None,
        pace: float = 1.0,
        keep: int = 0,
    ) -> list[Tensor]:
        """Return the states from x_T: (N, ...) to x_0: those kept, and each level's end."""
        states, held = [x], None
        if fixed is not None:
            image, held = fixed[0].to(self.device), fixed[1].to(self.device)
        with settled(self.f):
            for level in reversed(range(self.levels)):
                t = torch.full((len(x),), level, device=self.device)
                at, start = self.schedule.at(t, x.ndim), x
                if held is not None:
                    e = Noise(x, 1, seeds=spawn(seeds, HELD + level)).next()
                    start = torch.where(held, at.a * (at.signal * image + at.noise * e), x)
                y, record = self.chain(
                    start,
                    t,
                    noisy=x,
                    temperature=self.settings.chain.temperature,
                    pace=pace,
                    seeds=spawn(seeds, level),
                    held=held,
                    keep=keep,
                )
                x = y / at.a
                states += [*record.path[1:], x]
        if held is not None:
            states[-1] = torch.where(held, image, x)
        return states

    def noisy(self, x: Tensor, level: int, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return (x_t, x_{t+1}) of images x: (N, ...), each with noise of its own by its seed."""
        at = self.schedule.at(torch.full((len(x),), level, device=self.device), x.ndim)
        e, more = (Noise(x, 1, seeds=spawn(seeds, HELD + i)).next() for i in (0, 1))
        x_t = at.signal * x.to(self.device) + at.noise * e
        return x_t, torch.where(at.pull > 0, at.a * x_t, 0) + at.sigma * more

    def recover(
        self, x: Tensor, level: int, seeds: Sequence[int], marks: Sequence[int]
    ) -> list[Tensor]:
        """Return x_t from x_{t+1}: (N, ...), after so many steps of the conditional chain each.

        Args:
            level: t.
            marks: numbers of steps, rising.
        """
        t = torch.full((len(x),), level, device=self.device)
        at, y, states, before = self.schedule.at(t, x.ndim), x, [], 0
        with settled(self.f):
            for place, mark in enumerate(marks):
                sources = spawn(seeds, self.levels * place + level)
                y, _ = self.chain(
                    y, t, noisy=x, temperature=1.0, steps=mark - before, seeds=sources
                )
                states.append(y / at.a)
                before = mark
        return states

    @property
    def feature_network(self) -> nn.Module:
        """The network whose features `features` returns."""
        return self.f

    def features(self, x: Tensor) -> Tensor:
        """Return learned features, (N, F), of x: (N, C, H, W)."""
        with settled(self.f):
            return self.f.features(x.to(self.device))  # type: ignore[operator]

    def score(self, x: Tensor) -> Tensor:
        """Return f at the lowest level as the chain sees it, f(a_1 x, 0) / s_0^2, (N,)."""
        t = torch.zeros(len(x), dtype=torch.long, device=self.device)
        at = self.schedule.at(t, x.ndim)
        with settled(self.f):
            value: Tensor = self.f(at.a * x.to(self.device), t) / at.step.flatten().square()
        return value
