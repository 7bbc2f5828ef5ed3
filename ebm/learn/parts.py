"""What learners of one network share: their chains, optimisers and the network at rest."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from ebm.energy import LogDensity, Precision, Tilt, frozen, in_precision
from ebm.samplers.hmc import HmcRecord, hmc
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
    leapfrogs: int | None = Field(
        default=None,
        ge=1,
        exclude_if=missing,
        description="of a trajectory of Hamiltonian Monte Carlo, which then stands in place of a "
        "Langevin step; its eps is the root of dt, so that one leapfrog moves as far",
    )

    @model_validator(mode="after")
    def momenta_need_a_temperature(self) -> "ChainSettings":
        """Hamiltonian Monte Carlo is exact for p^(1 / T)."""
        if self.leapfrogs is not None and not self.temperature:
            raise ValueError(
                f"leapfrogs is {self.leapfrogs} and temperature is {self.temperature}; "
                "Hamiltonian Monte Carlo needs a temperature above 0, and no noise"
            )
        return self

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
    ) -> tuple[Tensor, Record | HmcRecord]:
        """Run chains from x: (N, ...), by seeds or by a generator, as learning does.

        With seeds f is computed in float32, since rounding would differ with the batch.

        Args:
            log_density: of x.
            x: where they start.
            steps: Langevin steps, or trajectories of `leapfrogs`.
            seeds, generator: the source of noise.
            keep: keep the state every so many steps.
        """
        source: dict[str, Any] = {"steps": steps, "seeds": seeds, "generator": generator}
        return self.walk(log_density, x, **source, keep=keep)

    def walk(self, log_density: LogDensity, x: Tensor, **run: Any) -> tuple[Tensor, Any]:
        """Run the sampler that the settings name, in the coordinates of x."""
        shared: dict[str, Any] = {"bounds": self.box, "clip": self.clip, **run}
        if self.leapfrogs is not None:
            return hmc(
                log_density,
                x,
                step_size=self.step_size**0.5,
                leapfrogs=self.leapfrogs,
                temperature=self.temperature,
                **shared,
            )
        precise = run.get("seeds") is not None
        return langevin(
            log_density if precise else in_precision(log_density, self.precision),
            x,
            step_size=self.step_size,
            temperature=self.temperature,
            noise=self.noise,
            **shared,
        )

    @property
    def box(self) -> tuple[float, float] | None:
        """The least and the greatest value of x."""
        return None if self.bounds is None else (-self.bounds, self.bounds)


class ColouredChainSettings(ChainSettings):
    """Chains that may run in the coordinates of the data's spectrum, where a network has it."""

    coloured: bool = Field(
        default=False,
        exclude_if=missing,
        description="steps are equal in u, where x = A u with A the data's amplitude spectrum, as "
        "the network took it from them; dt is then in squared units of u",
    )

    @model_validator(mode="after")
    def colours_have_no_bounds(self) -> "ColouredChainSettings":
        """A bound of x is none of u."""
        if self.coloured and self.bounds is not None:
            raise ValueError(
                f"coloured is True and bounds is {self.bounds}; a chain in u cannot keep to bounds "
                "of x: leave one out"
            )
        return self

    def run(
        self, log_density: LogDensity, x: Tensor, **source: Any
    ) -> tuple[Tensor, Record | HmcRecord]:
        """Run chains as `ChainSettings.run` does; coloured ones in u, on a network's `colour`."""
        if not self.coloured:
            return super().run(log_density, x, **source)
        colour = cast(Any, log_density.f if isinstance(log_density, Tilt) else log_density).colour
        u, record = self.walk(lambda u: log_density(colour.paint(u)), colour.strip(x), **source)
        path = [colour.paint(state) for state in record.path]
        return colour.paint(u), record._replace(path=path)


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


def kept_states(path: list[Tensor], x: Tensor, steps: int, keep: int) -> list[Tensor]:
    """Return the states kept of a chain, the end x last; that alone where `keep` is 0.

    Args:
        path: of the chain's record: a state every `keep` steps.
        steps: of the chain.
    """
    return path if keep and steps % keep == 0 else [*path, x]


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


@contextmanager
def settled(network: nn.Module) -> Iterator[nn.Module]:
    """Hold a network at rest with its normalised weights computed once, in float32.

    Here, outside the chain's precision, so that no singular value is rounded.
    """
    with at_rest(network), parametrize.cached():
        for module in network.modules():
            if parametrize.is_parametrized(module, "weight"):
                module.weight  # noqa: B018  looking at it computes and keeps it
        yield network


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
