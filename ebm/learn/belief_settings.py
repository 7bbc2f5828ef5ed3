"""The settings of a latent belief: shapes, networks, likelihood, prior and optimisers."""

from pydantic import Field, model_validator

from ebm.learn.parts import ChainSettings, OptimiserSettings
from ebm.networks.belief import Forecaster
from ebm.settings import Settings, missing


class SocialSettings(Settings):
    """Neighbours whose pasts are pooled."""

    neighbours: int = Field(ge=1, description="M, the nearest ones that count at most")
    reach: float = Field(gt=0, description="distance beyond which nobody counts, in data units")
    widths: list[int] = Field(min_length=1, description="hidden layers of their encoder")


class ForecastSettings(Settings):
    """Shapes and networks of the forecast."""

    seen: int = Field(ge=2, description="S, frames of the past")
    plan: list[int] = Field(
        min_length=1, description="frames ahead that a plan names, counted from 1, the last ends it"
    )
    unit: float = Field(gt=0, description="length in data units that networks see as 1")
    turned: bool = Field(
        description="the way seen points along x; false: directions are the scene's, as published"
    )
    code: int = Field(ge=1, description="D, values of the codes of past and plan")
    latent: int = Field(ge=1, description="Z, values of the belief")
    widths: list[int] = Field(min_length=1, description="hidden layers of each part")
    energy: list[int] = Field(min_length=1, description="hidden layers of f")
    social: SocialSettings | None = Field(description="pooling of neighbours; null: none")

    @model_validator(mode="after")
    def check_plan(self) -> "ForecastSettings":
        """The plan's frames rise."""
        if sorted(set(self.plan)) != self.plan or self.plan[0] < 1:
            raise ValueError(f"plan is {self.plan}; its frames must rise from 1 or more")
        return self

    @property
    def ahead(self) -> int:
        """T, frames ahead."""
        return self.plan[-1]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a trajectory, (S + T, 2)."""
        return (self.seen + self.ahead, 2)

    def build(self) -> Forecaster:
        """Return the networks but for the energy."""
        frames = [number - 1 for number in self.plan]
        social = self.social.widths if self.social else None
        return Forecaster(
            seen=self.seen,
            plan=frames,
            ahead=self.ahead,
            code=self.code,
            latent=self.latent,
            widths=self.widths,
            social=social,
        )


class LatentBeliefSettings(Settings):
    """Networks, the likelihood, the prior's chains and the optimisers."""

    forecast: ForecastSettings
    sd_plan: float = Field(gt=0, description="sd_p of the likelihood, in data units")
    sd_way: float = Field(gt=0, description="sd_y of the likelihood, in data units")
    reference: float = Field(gt=0, description="s, sd of the Gaussian that f tilts")
    chain: ChainSettings
    chains: int = Field(
        ge=2, description="agents of a batch, the first ones, for whom the prior is sampled"
    )
    lead: float = Field(
        ge=0, le=1, description="share of the gradient of E_q f by z that the posterior is taught"
    )
    decay: float = Field(ge=0, description="weight of squared f, which keeps its level near 0")
    speeds: float = Field(
        ge=1, description="trajectories are learned up to so many times as fast, or as slow"
    )
    mirror: float = Field(
        ge=0, le=1, description="share of the trajectories that are learned mirrored, y to -y"
    )
    reverse: bool = Field(
        default=False,
        exclude_if=missing,
        description="half of the trajectories are learned walked backwards",
    )
    optimiser: OptimiserSettings
    energy: OptimiserSettings = Field(description="the optimiser of f")

    @property
    def channels(self) -> int:
        """Coordinates of a position."""
        return 2
