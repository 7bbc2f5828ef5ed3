"""Multigrid learning and sampling: one EBM a grid, each started from the grid below (S10).

The grids grow from the 1x1 image, whose model is a histogram, by a factor at each. At grid s

    p_s(x) = exp(f_s(x)) / Z_s
    x_s  <-  K Langevin steps on f_s from the sample of grid s - 1, expanded    (synthesis)
    theta_s  <-  theta_s + eta ( E_data[grad f_s] - E_samples[grad f_s] )       (analysis)

While learning, the 1x1 start is the datum's own mean; afterwards it is drawn from the histogram.

Source: Gao, Lu, Zhou, Zhu, Wu, "Learning Generative ConvNets via Multi-grid Modeling and
Sampling", CVPR 2018, arXiv:1709.08868.
"""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ebm.energy import contrast, frozen, in_precision
from ebm.learn.multigrid_settings import Grid, MultigridSettings
from ebm.learn.parts import kept_states
from ebm.learner import State
from ebm.networks.convnet import ConvNet
from ebm.samplers.langevin import Record, langevin
from ebm.samplers.noise import Noise, spawn

REVISION = 2


def shrink(x: Tensor, size: int) -> Tensor:
    """Return the block averages of x: (N, C, H, H), as (N, C, size, size)."""
    return F.avg_pool2d(x, x.shape[-1] // size)


def expand(x: Tensor, size: int) -> Tensor:
    """Return x: (N, C, h, h) with each pixel repeated, as (N, C, size, size)."""
    return F.interpolate(x, size=(size, size), mode="nearest")


class Histogram(nn.Module):
    """The model of the 1x1 grid: the training images' mean colours, (M, C)."""

    means: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("means", torch.zeros(1, channels))

    def fit(self, x: Tensor) -> None:
        """Take the means of the training images x: (M, C, H, W)."""
        self.means = x.mean((2, 3))

    def sample(self, seeds: Sequence[int]) -> Tensor:
        """Draw one 1x1 image a seed, (N, C, 1, 1)."""
        rows = [seed % len(self.means) for seed in spawn(seeds, 1)]
        return self.means[rows][:, :, None, None]

    def _load_from_state_dict(self, state: Any, prefix: str, *args: Any) -> None:
        if prefix + "means" in state:
            self.means = torch.empty_like(state[prefix + "means"])
        super()._load_from_state_dict(state, prefix, *args)


class Multigrid(State):
    """Learns the grids of its settings, jointly, over those below, which are finished.

    Args:
        settings: the grids learned here. All in one: joint learning. One at a time, each over
            the last: learning grid by grid.
        below: the finished learner of the coarser grids; None starts at the 1x1 histogram.
        device: where the networks and chains live.

    Attributes:
        networks: f_s by size of grid, and the histogram where nothing is below.
        optimisers: one a grid.
        through, share: see `ebm.learner.Learner`.

    Raises:
        ValueError: the first grid is no larger multiple of the last one below.
    """

    Settings = MultigridSettings

    def __init__(
        self,
        settings: MultigridSettings,
        below: "Multigrid | None" = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.settings, self.below, self.device = settings, below, torch.device(device)
        if below and settings.grids[0].size % below.size:
            raise ValueError(
                f"grid {settings.grids[0].size} cannot stand on grid {below.size}; "
                "its size must be a multiple"
            )
        self.networks = nn.ModuleDict(
            {
                str(g.size): ConvNet(g.size, settings.channels, g.width, g.widest, g.head_scale)
                for g in settings.grids
            }
        )
        if below is None:
            self.networks["1"] = Histogram(settings.channels)
        self.networks.to(self.device)
        self.optimisers = {
            str(g.size): torch.optim.Adam(
                self.networks[str(g.size)].parameters(),
                lr=g.rate,
                betas=(g.momentum, 0.999),
                fused=self.device.type == "cuda" or None,  # None leaves it to torch
            )
            for g in settings.grids
        }
        self.through = {key: self.networks[key] for key in self.optimisers}
        self.share = 1
        self.generator = torch.Generator(self.device)

    @property
    def size(self) -> int:
        """The side of the finest grid."""
        return self.settings.grids[-1].size

    def all_grids(self) -> Iterator[tuple[Grid, nn.Module]]:
        """Yield every grid with its network, from the coarsest."""
        if self.below:
            yield from self.below.all_grids()
        for grid in self.settings.grids:
            yield grid, self.networks[str(grid.size)]

    def prepare(self, x: Tensor) -> None:
        """Fit the histogram of the 1x1 grid to the training images x: (M, C, H, W).

        Raises:
            ValueError: the images are not of the settings' channels, or do not shrink to the grid.
        """
        channels, height, width = x.shape[1:]
        if channels != self.settings.channels or height != width or height % self.size:
            raise ValueError(
                f"the images are {channels}x{height}x{width}; model.channels is "
                f"{self.settings.channels}, and grid {self.size} needs squares, a multiple of it"
            )
        if self.below is None:
            self.histogram.fit(x.to(self.device))

    def learn(self, batch: Tensor) -> dict[str, Tensor]:
        """Do one iteration on a batch (N, C, H, W) in [-1, 1]; return the figures by grid."""
        stats: dict[str, Tensor] = {}
        learned = {grid.size for grid in self.settings.grids}
        x = shrink(batch, 1)
        for grid, network in self.all_grids():
            x, record = self.chain(grid, network, x, generator=self.generator)
            if grid.size not in learned:
                continue
            data = shrink(batch, grid.size)
            through = self.through[str(grid.size)]
            f_data = through(self.blur(data, grid))
            f_samples = through(x)
            self.descend(grid, contrast(f_data, f_samples, grid.decay))
            for name, value in {
                "f_data": f_data.mean(),
                "f_samples": f_samples.mean(),
                "strength": record.strength,
                "movement": record.movement,
                "sd_data": data.std(0).mean(),
                "sd_samples": x.std(0).mean(),
            }.items():
                stats[f"{grid.size}/{name}"] = value.detach()
        return stats

    def blur(self, data: Tensor, grid: Grid) -> Tensor:
        """Return data with the grid's noise, within the bounds that the chains keep to.

        Without noise the data lie on a lower-dimensional set and the gap has no bound; beyond
        the bounds, noise alone would tell data from samples.
        """
        noise = torch.empty_like(data).normal_(generator=self.generator)
        return data.add(noise, alpha=grid.data_noise).clamp_(-grid.bounds, grid.bounds)

    def descend(self, grid: Grid, loss: Tensor) -> None:
        """Take one step of the grid's optimiser."""
        optimiser = self.optimisers[str(grid.size)]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    def chain(
        self,
        grid: Grid,
        network: nn.Module,
        x: Tensor,
        *,
        seeds: Sequence[int] | None = None,
        generator: torch.Generator | None = None,
        fixed: tuple[Tensor, Tensor] | None = None,
        pace: float = 1.0,
        keep: int = 0,
    ) -> tuple[Tensor, Record]:
        """Run one grid's chains from samples x: (N, C, h, h) of the grid below.

        `fixed` is (image, mask): pixels where the mask is True stay as in the image; both are
        at this grid's size. What they differ by from x is carried on into the hole. `pace` is the
        step size's share that such chains take, at the same temperature.
        """
        x = expand(x, grid.size)
        first = spawn(seeds, 2 * grid.size) if seeds is not None else None
        held = None
        if fixed is not None:
            image, held = fixed
            x = x + carry_on(torch.where(held, image - x, 0), held.expand_as(x).to(x))
        x = x + grid.start_noise * Noise(x, 1, seeds=first, generator=generator).next()
        if held is not None:
            x = torch.where(held, image, x)
        with frozen(network):
            return langevin(
                in_precision(network, grid.precision) if seeds is None else network,
                x,
                steps=grid.steps,
                step_size=pace * grid.step_size,
                noise=pace**0.5 * grid.noise,
                bounds=(-grid.bounds, grid.bounds),
                seeds=spawn(seeds, 2 * grid.size + 1) if seeds is not None else None,
                generator=generator,
                held=held,
                keep=keep,
            )

    def sample(
        self,
        seeds: Sequence[int],
        *,
        fixed: tuple[Tensor, Tensor] | None = None,
        pace: float = 1.0,
        keep: int = 0,
    ) -> dict[int, list[Tensor]]:
        """Draw one image a seed, from the histogram up through every grid.

        Args:
            seeds: one integer a sample; a sample depends on its own seed alone.
            fixed: (image, mask) at the finest grid, (N, C, H, W) each: pixels where the boolean
                mask is True stay as they are (inpainting). A coarse pixel is held where at least
                half of the pixels under it are, at the mean of those.
            pace: step size of chains with fixed pixels, as a share of that of learning. Beside a
                hole f is steeper than learning ever saw, and whole steps overshoot.
            keep: keep the chain's state every so many steps; 0 keeps the end alone.

        Returns:
            By grid size, from 1, the states kept, the end last, each (N, C, size, size).
        """
        x = self.histogram.sample(seeds)
        if fixed is not None:
            image, mask = fixed[0].to(self.device), fixed[1].to(self.device)
            any_seen = mask.flatten(1).any(1)[:, None, None, None]
            x = torch.where(any_seen, shrink_seen(image, mask, 1)[0], x)
        states = {1: [x]}
        for grid, network in self.all_grids():
            here = None
            if fixed is not None:
                here = shrink_seen(image, mask, grid.size)
            x, record = self.chain(grid, network, x, seeds=seeds, fixed=here, pace=pace, keep=keep)
            states[grid.size] = kept_states(record.path, x, grid.steps, keep)
        return states

    def features(self, x: Tensor) -> Tensor:
        """Return the finest network's features of x: (N, C, H, W), as (N, D)."""
        return self.finest.features(x.to(self.device))

    def score(self, x: Tensor) -> Tensor:
        """Return f of the finest grid, (N,), of x: (N, C, H, W)."""
        return self.finest(x.to(self.device))

    @property
    def histogram(self) -> Histogram:
        """The model of the 1x1 grid, which stands at the bottom."""
        return self.below.histogram if self.below else cast(Histogram, self.networks["1"])

    @property
    def finest(self) -> ConvNet:
        """The finest grid's network, f."""
        return cast(ConvNet, self.networks[str(self.size)])

    @property
    def feature_network(self) -> ConvNet:
        """The network whose features `features` returns."""
        return self.finest


def shrink_seen(image: Tensor, mask: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return the means of the pixels seen in each block, (N, C, size, size), and which to hold.

    A block is held where at least half of its pixels are seen.
    """
    seen = shrink(mask.to(image).expand_as(image), size)
    return shrink(image * mask, size) / seen.clamp(min=1e-6), seen >= 0.5


def carry_on(values: Tensor, weight: Tensor) -> Tensor:
    """Return values (N, C, H, H) where their weight is above 0, and a smooth filling elsewhere.

    From fine to coarse the means of what is known; from coarse to fine, these where nothing is.

    Args:
        values: 0 where the weight is 0.
        weight: in [0, 1], the share of a pixel that is known.
    """
    known = values / weight.clamp(min=1e-6)
    if values.shape[-1] == 1:
        return known
    coarse = carry_on(F.avg_pool2d(values, 2), F.avg_pool2d(weight, 2))
    smooth = F.interpolate(coarse, scale_factor=2, mode="bilinear")
    return torch.where(weight > 0, known, smooth)
