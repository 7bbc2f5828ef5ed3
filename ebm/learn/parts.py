"""What learners of one network share: their chains, optimisers and the network at rest."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ebm.energy import LogDensity, Precision, frozen, in_precision
from ebm.samplers.langevin import Record, langevin
from ebm.settings import Settings, missing

REVISION = 1


class ChainSettings(Settings):
    """Langevin chains: their step, and how long they run."""

    steps: int = Field(ge=1, description="K, Langevin steps in an iteration of learning")
    sample_steps: int = Field(ge=1, description="steps from the noise when samples are drawn")
    step_size: float = Field(gt=0, description="dt of the Langevin step, in squared units of x")
    temperature: float | None = Field(default=None, ge=0, exclude_if=missing, description="T")
    noise: float | None = Field(
        default=None, ge=0, exclude_if=missing, description="noise of a step, in place of T"
    )
    bounds: float | None = Field(
        default=None, gt=0, exclude_if=missing, description="x is clamped to plus or minus this"
    )
    clip: float | None = Field(
        default=None, gt=0, exclude_if=missing, description="limit of a component of the gradient"
    )
    precision: Precision = Field(
        default="float32",
        exclude_if=lambda precision: precision == "float32",
        description="of f's products in chains of learning; all else, and samples, are float32",
    )

    @model_validator(mode="after")
    def one_noise(self) -> "ChainSettings":
        """The noise is given by T or by itself."""
        if (self.temperature is None) == (self.noise is None):
            raise ValueError(
                f"temperature is {self.temperature} and noise is {self.noise}; give one of them"
            )
        return self

    def run(
        self,
        log_density: LogDensity,
        x: Tensor,
        *,
        steps: int,
        seeds: Sequence[int] | None = None,
        generator: torch.Generator | None = None,
        keep: int = 0,
    ) -> tuple[Tensor, Record]:
        """Run chains from x: (N, ...), by seeds or by a generator, as learning does.

        With seeds f is computed in float32, since rounding would differ with the batch.
        """
        return langevin(
            in_precision(log_density, self.precision) if seeds is None else log_density,
            x,
            steps=steps,
            step_size=self.step_size,
            temperature=self.temperature,
            noise=self.noise,
            seeds=seeds,
            generator=generator,
            bounds=self.box,
            clip=self.clip,
            keep=keep,
        )

    @property
    def box(self) -> tuple[float, float] | None:
        """The least and the greatest value of x."""
        return None if self.bounds is None else (-self.bounds, self.bounds)


class OptimiserSettings(Settings):
    """An optimiser."""

    kind: Literal["adam", "sgd"]
    rate: float = Field(gt=0, description="learning rate")
    momentum: float = Field(ge=0, lt=1, description="Adam's beta1, or SGD's momentum")

    def build(self, network: nn.Module) -> torch.optim.Optimizer:
        """Return the optimiser of those of a network's parameters that are learned.

        On a GPU one kernel updates them all, if they are there by now.
        """
        parameters = [p for p in network.parameters() if p.requires_grad]
        fused = all(p.is_cuda for p in parameters) or None  # None leaves it to torch
        if self.kind == "adam":
            betas = (self.momentum, 0.999)
            return torch.optim.Adam(parameters, lr=self.rate, betas=betas, fused=fused)
        return torch.optim.SGD(parameters, lr=self.rate, momentum=self.momentum, fused=fused)


def spectral(network: nn.Module) -> nn.Module:
    """Hold the largest singular value of every layer but the last at 1, and return the network.

    With SiLU, whose slope is at most 1.1, the gradient of f is then bounded by the last layer's
    weights. That of a convolution is the one of its weights as a matrix (channels out, all else).
    The singular vectors are refined by one power iteration at each pass in training mode, never at
    rest: a chain's f stands still.

    Source: Miyato, Kataoka, Koyama, Yoshida, arXiv:1802.05957.
    """
    layers = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    for layer in layers[:-1]:
        spectral_norm(layer)
    return network


@contextmanager
def at_rest(network: nn.Module) -> Iterator[nn.Module]:
    """Hold a network's parameters and its singular vectors fixed, as chains need it."""
    mode = network.training
    network.eval()
    try:
        with frozen(network):
            yield network
    finally:
        network.train(mode)


def descend(
    network: nn.Module, optimiser: torch.optim.Optimizer, loss: Tensor, clip: float | None
) -> None:
    """Take one step of an optimiser.

    Args:
        network: whose parameters it has.
        optimiser: takes the step.
        loss: (), to descend.
        clip: the largest L2 norm of the gradient over all parameters; None leaves it.
    """
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    if clip is not None:
        nn.utils.clip_grad_norm_(network.parameters(), clip)
    optimiser.step()


def check_shape(x: Tensor, shape: tuple[int, ...]) -> None:
    """Refuse data whose items are not of a network's shape.

    Raises:
        ValueError: naming both shapes.
    """
    if tuple(x.shape[1:]) != shape:
        raise ValueError(
            f"the data's items are of shape {tuple(x.shape[1:])}; model.network takes {shape}"
        )
