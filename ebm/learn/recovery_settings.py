"""The settings of recovery likelihood: the network, the levels of noise, and their chains."""

from pydantic import Field, model_validator

from ebm.energy import Precision
from ebm.learn.parts import OptimiserSettings
from ebm.networks import TimeResNetSettings
from ebm.settings import Settings

DIFFUSION = 1000  # steps of the fine diffusion that the levels are taken from


class RecoveryChainSettings(Settings):
    """The Langevin chains of all levels."""

    steps: int = Field(ge=1, description="K, Langevin steps at a level")
    step_scale: float = Field(
        gt=0, description="b: s_t^2 = b^2 sigma_{t+1}^2 (noise of x_t over that of x_0)"
    )
    temperature: float = Field(
        ge=0, description="T of the chains that draw samples; learning has 1"
    )
    precision: Precision = Field(
        default="float32",
        exclude_if=lambda precision: precision == "float32",
        description="of f's products in chains of learning; all else, and samples, are float32",
    )

    @property
    def step_size(self) -> float:
        """Dt of the chain in u = y / s_t, at every level."""
        return 1.0

    @property
    def noise(self) -> None:
        """The noise of a step follows from T."""


class RecoverySettings(Settings):
    """A network, the levels, their chains and the optimiser."""

    network: TimeResNetSettings
    levels: list[int] = Field(
        min_length=2,
        description="steps of the diffusion (0 to 999) that x_0, ..., x_T are taken at, rising",
    )
    chain: RecoveryChainSettings
    optimiser: OptimiserSettings
    spectral: bool = Field(description="spectral normalisation of every layer but the last")

    @model_validator(mode="after")
    def check_levels(self) -> "RecoverySettings":
        """The levels rise within the diffusion."""
        if sorted(set(self.levels)) != self.levels or not self.levels[0] >= 0:
            raise ValueError(f"levels is {self.levels}; it must rise from 0 or more")
        if self.levels[-1] >= DIFFUSION:
            raise ValueError(f"levels ends at {self.levels[-1]}; the last step is {DIFFUSION - 1}")
        return self

    @property
    def channels(self) -> int:
        """Channels of an image."""
        return self.network.channels
