"""Multistage coarse-to-fine expanding and sampling (S08).

    p(x) = exp(f(x)) / Z,    f grown from 8x8 to 16x16 to 32x32, a training stage each
    f      <-  (1 - alpha) f below + alpha (a new block), alpha from 0 to 1     (expanding)
    x      <-  K Langevin steps on f from noise                                 (synthesis)
    theta  <-  theta + eta ( E_data[grad f] - E_samples[grad f] )               (analysis)

Each stage has a fresh optimiser. Its chains start from noise at its own resolution ("keep the EBM
at the highest resolution for image generation using the short-run MCMC sampling"), or, as in the
published runs on CIFAR-10, from where those of the stage below end, each pixel repeated.

Source: Zhao, Xie, Li, "Learning energy-based generative models via coarse-to-fine expanding and
sampling", ICLR 2021.
"""

from collections.abc import Sequence
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from ebm.energy import contrast
from ebm.learn.parts import ChainSettings, OptimiserSettings, at_rest, descend, settled, spectral
from ebm.learner import State
from ebm.networks.expanding import Expanding
from ebm.samplers.langevin import Record
from ebm.samplers.noise import Noise, spawn
from ebm.settings import Settings, missing

REVISION = 1

BOX = 1.0  # pixels are in plus or minus this; chains are brought back to it at their end


class CoarseToFineSettings(Settings):
    """One resolution: its network, its chains and its optimiser."""

    channels: int = Field(ge=1, description="1 for grey, 3 for colour")
    widths: list[int] = Field(
        min_length=2,
        description="channels of the network's maps of side 4, 8, 16 and so on; as many as bring "
        "it to the image's side; over a stage below, its widths and one more",
    )
    fade: int = Field(
        ge=0, description="iterations in which the new block fades in; 0 where nothing is below"
    )
    start: Literal["noise", "below"] = Field(
        description="of the chains: uniform noise, or the ends of those of the stage below"
    )
    chain: ChainSettings
    data_noise: float = Field(ge=0, description="noise added to the data while learning")
    decay: float = Field(ge=0, description="weight of the squared energies in the loss")
    optimiser: OptimiserSettings
    gradient_clip: float | None = Field(
        default=None, gt=0, exclude_if=missing, description="limit of the parameters' gradient norm"
    )
    spectral: bool = Field(
        default=False,
        exclude_if=lambda spectral: not spectral,
        description="spectral normalisation of every layer but the last",
    )

    @model_validator(mode="after")
    def check_widths(self) -> "CoarseToFineSettings":
        """A map has at least one channel."""
        if min(self.widths) < 1:
            raise ValueError(f"widths is {self.widths}; each must be 1 or more")
        return self

    @property
    def size(self) -> int:
        """The side of the image."""
        return int(2 ** (len(self.widths) + 1))


class CoarseToFine(State):
    """Learns the network of one resolution, grown from the finished one of half the side.

    Args:
        settings: of this stage.
        below: the finished learner of half the side; None begins here.
        device: where the network and the chains live.

    Attributes:
        networks: f, under that name.
        optimisers: one, fresh in each stage, under the same name.
        through, share: see `ebm.learner.Learner`.

    Raises:
        ValueError: the stage below is of another network; something is to come from below, or to
            fade in, and there is no stage below.
    """

    Settings = CoarseToFineSettings

    def __init__(
        self,
        settings: CoarseToFineSettings,
        below: "CoarseToFine | None" = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.settings, self.below, self.device = settings, below, torch.device(device)
        check_below(settings, below)
        f = Expanding(settings.widths, settings.channels, grown=below is not None)
        self.networks = nn.ModuleDict({"f": spectral(f) if settings.spectral else f})
        self.networks.to(self.device)
        if below:
            self.f.grow_from(below.f)
        self.through, self.share = {"f": self.networks["f"]}, 1
        self.optimisers = {"f": settings.optimiser.build(self.f)}
        self.generator = torch.Generator(self.device)

    @property
    def f(self) -> Expanding:
        """The network."""
        return cast(Expanding, self.networks["f"])

    @property
    def log_density(self) -> nn.Module:
        """x: (N, C, H, W) -> f(x), (N,): log p(x) up to a constant."""
        return self.f

    @property
    def size(self) -> int:
        """The side of this stage's images."""
        return self.settings.size

    def prepare(self, x: Tensor) -> None:
        """See that the training images x: (M, C, H, W) fit.

        Raises:
            ValueError: they are not of the settings' channels, or do not shrink to this side.
        """
        channels, height, width = x.shape[1:]
        if channels != self.settings.channels or height != width or height % self.size:
            raise ValueError(
                f"the images are {channels}x{height}x{width}; model.channels is "
                f"{self.settings.channels}, and {len(self.settings.widths)} widths need squares of "
                f"side {self.size} or a multiple of it"
            )

    def learn(self, batch: Tensor) -> dict[str, Tensor]:
        """Do one iteration on a batch (N, C, H, W) in [-1, 1]; return its figures."""
        self.f.fade(self.settings.fade)
        data = self.blur(F.avg_pool2d(batch, batch.shape[-1] // self.size))
        x, record = self.synthesise(len(batch), generator=self.generator)
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
        }

    def blur(self, data: Tensor) -> Tensor:
        """Return data with noise, within the box: what lies outside would give the noise away."""
        noise = torch.empty_like(data).normal_(generator=self.generator)
        return data.add(noise, alpha=self.settings.data_noise).clamp_(-BOX, BOX)

    def synthesise(self, n: int, *, generator: torch.Generator) -> tuple[Tensor, Record]:
        """Run n chains of K steps, up through the stages below where they start there."""
        if self.settings.start == "below":
            ends, _ = cast(CoarseToFine, self.below).synthesise(n, generator=generator)
            x = F.interpolate(ends, scale_factor=2, mode="nearest")
        else:
            x = torch.empty(n, *self.shape, device=self.device)
            x.uniform_(-BOX, BOX, generator=generator)
        return self.chain(x, steps=self.settings.chain.steps, generator=generator)

    def chain(self, x: Tensor, **how: Any) -> tuple[Tensor, Any]:
        """Run chains from x: (N, C, H, W); bring their ends into the box.

        Not at every step, which would hold pixels at the border that the next step would free.
        """
        with settled(self.f):
            x, record = self.settings.chain.run(self.f, x, **how)
        return x.clamp(-BOX, BOX), record

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one image of this stage, (C, H, W)."""
        return (self.settings.channels, self.size, self.size)

    def noise(self, count: int, seeds: Sequence[int]) -> Tensor:
        """Return starts from uniform noise, (count, C, H, W), one a seed.

        Raises:
            ValueError: chains start from the stage below, so there is no single one from noise.
        """
        if self.settings.start == "below":
            raise ValueError(
                "start is 'below': no single chain leads from noise to an image; give 'noise', or "
                "leave out what needs one"
            )
        like = torch.empty(count, *self.shape, device=self.device)
        return BOX * torch.special.erf(Noise(like, 1, seeds=seeds).next() / 2**0.5)

    def sample(self, seeds: Sequence[int], *, keep: int = 0) -> dict[int, list[Tensor]]:
        """Draw one image a seed by `sample_steps` steps, and one of each stage below.

        Those of the stages below are the chain's own past where it starts from them; else they are
        drawn beside it, and show what the network could draw before it grew.

        Args:
            seeds: N integers; an image depends on its own alone.
            keep: keep the chain's state every so many steps; 0 keeps the end alone.

        Returns:
            By side, from the smallest, the states kept, the end last, each (N, C, size, size).
        """
        states = self.below.sample(seeds, keep=keep) if self.below else {}
        if self.settings.start == "below":
            x = F.interpolate(states[self.size // 2][-1], scale_factor=2, mode="nearest")
        else:
            x = self.noise(len(seeds), spawn(seeds, 2 * self.size))
        chain, own = self.settings.chain, spawn(seeds, 2 * self.size + 1)
        x, record = self.chain(x, steps=chain.sample_steps, seeds=own, keep=keep)
        before = record.path[: -(-chain.sample_steps // keep)] if keep else []  # the end is clamped
        return {**states, self.size: [*before, x]}

    @property
    def feature_network(self) -> Expanding:
        """The network whose features `features` returns."""
        return self.f

    def features(self, x: Tensor) -> Tensor:
        """Return learned features, (N, D), of x: (N, C, H, W)."""
        with at_rest(self.f):
            return self.f.features(x.to(self.device))

    def score(self, x: Tensor) -> Tensor:
        """Return f(x), (N,), of x: (N, C, H, W): log p(x) up to a constant."""
        with at_rest(self.f):
            value: Tensor = self.f(x.to(self.device))
        return value


def check_below(settings: CoarseToFineSettings, below: CoarseToFine | None) -> None:
    """Refuse a stage that does not stand on what is below it, before a network is made.

    Raises:
        ValueError: naming the setting.
    """
    if below is None:
        if settings.fade or settings.start == "below":
            raise ValueError(
                f"fade is {settings.fade} and start is {settings.start!r}, and there is no stage "
                "below; give 0 and 'noise', or name a stage in below"
            )
        return
    told = below.settings
    for key, found, right in [
        ("widths", settings.widths[:-1], told.widths),
        ("channels", settings.channels, told.channels),
        ("spectral", settings.spectral, told.spectral),
    ]:
        if found != right:
            more = f"{right} and one more" if key == "widths" else repr(right)
            raise ValueError(
                f"{key} is {getattr(settings, key)!r} over a stage below whose {key} is {right!r}; "
                f"give {more}"
            )
