"""What the samplers are timed on: networks f(x), and how many chains take how many steps.

Nothing here imports a module whose name ebmkit, which is imported as `ebm` too, has as well: its
process builds the same networks from this file.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ebm.networks.convnet import ConvNet
from ebm.networks.mlp import MLP

STEP_SIZE, NOISE = 0.02, 0.01  # x' = x + 0.01 grad f(x) + 0.01 e, everywhere
SEED = 0

ROWS, OWN = "rows", "channels last"
LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}


class Workload(NamedTuple):
    """A network and its chains.

    Attributes:
        name: short, for tables.
        about: the layers.
        build: makes the network.
        shape: of one item.
        chains: how many run side by side.
        steps: Langevin steps of one turn.
    """

    name: str
    about: str
    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    chains: int
    steps: int

    @property
    def layouts(self) -> tuple[str, ...]:
        """How memory may hold the items; the last is what our networks ask for."""
        return (ROWS, OWN) if len(self.shape) + 1 in LAYOUTS else (ROWS,)


class Work(NamedTuple):
    """What a contender is handed: it goes `steps` steps from x: (N, ...), and returns the end."""

    network: nn.Module
    x: Tensor
    steps: int
    generator: torch.Generator
    step_size: float = STEP_SIZE
    noise: float = NOISE


def work(load: Workload, layout: str, device: str) -> Work:
    """Return a workload's network and start: the same weights and start for every layout."""
    torch.manual_seed(SEED)
    network, axes = load.build().to(device), len(load.shape) + 1
    x = torch.rand(load.chains, *load.shape).to(device) * 2 - 1
    form = LAYOUTS[axes] if layout == OWN else torch.contiguous_format
    network.to(memory_format=form)  # type: ignore[call-overload]
    return Work(network, x, load.steps, torch.Generator(device).manual_seed(SEED))


class Flat(nn.Sequential):
    """Layers one after the other, down to one value an item: f(x), (N,)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).flatten()

    def in_turn(self) -> list[nn.Module]:
        return [*self, nn.Flatten(0)]


class PointNet(nn.Module):
    """f of a cloud (N, M, 3): the same layers at every point, the greatest and the mean, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.each = mlp(3, 64, 128, 256)
        self.head = Flat(*mlp(512, 64), nn.Linear(64, 1))

    def forward(self, x: Tensor) -> Tensor:
        each = self.each(x)
        return self.head(torch.cat([each.amax(1), each.mean(1)], 1))


def mlp(*widths: int) -> nn.Sequential:
    """Linear layers, each with its SiLU."""
    pairs = zip(widths, widths[1:], strict=False)
    return nn.Sequential(*(m for a, b in pairs for m in (nn.Linear(a, b), nn.SiLU())))


def convnet28() -> nn.Module:
    """28x28 grey: 16@5s2, then 32, 64 and 64 of 3s2, two linear layers."""
    sizes = [(1, 16, 5, 2), (16, 32, 3, 1), (32, 64, 3, 1), (64, 64, 3, 1)]
    layers: list[nn.Module] = []
    for inward, outward, kernel, padding in sizes:
        layers += [nn.Conv2d(inward, outward, kernel, 2, padding), nn.SiLU()]
    return Flat(*layers, nn.Flatten(), nn.Linear(256, 64), nn.SiLU(), nn.Linear(64, 1))


def short_run(width: int = 64) -> nn.Module:
    """32x32 colour: 3x3, three of 4x4 with stride 2, 4x4 to one value (arXiv:1904.09770)."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 1, 1), nn.LeakyReLU(0.2)]
    for k in (1, 2, 4):
        layers += [nn.Conv2d(k * width, 2 * k * width, 4, 2, 1), nn.LeakyReLU(0.2)]
    return Flat(*layers, nn.Conv2d(8 * width, 1, 4))


def full_size_first() -> nn.Module:
    """8x8 grey: a first layer at full size, then as wide at each size as ConvNet(8, 1, 64)."""
    return nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.SiLU(), ConvNet(8, 32, 64))


def voxelnet() -> nn.Module:
    """32x32x32: 32@8s2, 32@4s2, linear."""
    return Flat(
        *(nn.Conv3d(1, 32, 8, 2, 3), nn.SiLU()),
        *(nn.Conv3d(32, 32, 4, 2, 1), nn.SiLU()),
        *(nn.Flatten(), nn.Linear(32 * 8**3, 1)),
    )


ALL = (
    Workload("ConvNet 28x28", "16@5s2-32-64-64@3s2-64-1", convnet28, (1, 28, 28), 64, 20),
    Workload(
        "ConvNet 32x32",
        "ebm.networks.convnet, width 16, widest 64",
        lambda: ConvNet(32, 1, 16, 64),
        (1, 32, 32),
        64,
        20,
    ),
    Workload(
        "ConvNet 8x8", "the digits' finest grid", lambda: ConvNet(8, 1, 64), (1, 8, 8), 100, 20
    ),
    Workload(
        "ConvNet 8x8, full", "a first layer at full size", full_size_first, (1, 8, 8), 100, 20
    ),
    Workload("short-run 32x32", "n_f 64; K = 100 in use", short_run, (3, 32, 32), 100, 2),
    Workload("latent MLP", "100-200-200-1", lambda: MLP(100, [200, 200]), (100,), 128, 60),
    Workload("voxel net", "32@8s2-32@4s2-1", voxelnet, (1, 32, 32, 32), 8, 4),
    Workload("point net", "64-128-256, max and mean, 64-1", PointNet, (512, 3), 16, 10),
)


def quick(load: Workload) -> Workload:
    """Return a workload cut down to a fraction of a second."""
    return load._replace(
        chains=min(load.chains, 16) if len(load.shape) > 1 else load.chains,
        steps=max(2, load.steps // 4),
    )
