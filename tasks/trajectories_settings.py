"""The settings of trajectories: which models are judged, and what their stages read."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ebm.settings import Settings

# Names of more forecasts by the final model: as if its energy were 0, and taken of many, apart.
GAUSSIAN, SPREAD = "gaussian", "spread"


class TrajectoriesSettings(Settings):
    """Forecasts are held against where people went."""

    against: Literal["validation", "test"] = Field(
        description="the held-out part: validation to choose settings, test to report"
    )
    models: list[Annotated[str, Field(min_length=1)]] = Field(
        min_length=1,
        description="training stages judged, the final one first: the same, with several seeds",
    )

    widen: float = Field(
        ge=1, description="sd of the prior's Gaussian is so many times as large: a wider fan"
    )
    candidates: int = Field(
        ge=1,
        description="forecasts of an agent, by the final model, of which those that lie apart are "
        "judged, too, as many as are drawn",
    )

    @model_validator(mode="after")
    def check_models(self) -> "TrajectoriesSettings":
        """Each model is judged once."""
        if len({*self.models, GAUSSIAN, SPREAD}) < len(self.models) + 2:
            raise ValueError(
                f"models is {self.models}; name each training stage once, none of them {GAUSSIAN} "
                f"or {SPREAD}"
            )
        return self

    @property
    def networks(self) -> list[str]:
        """The feature networks: trajectories need none."""
        return []

    @property
    def parts(self) -> list[str]:
        """The parts that are forecast: models are chosen on validation, whatever is reported."""
        return list(dict.fromkeys(["validation", self.against]))


class SampleTrajectoriesInputs(Settings):
    """What `sample` reads of an experiment on trajectories."""

    dataset: str
    final: str
    device: Literal["cpu", "gpu"]
    threads: int
    seed: int
    sample: Any
    evaluate: TrajectoriesSettings


class EvaluateTrajectoriesInputs(Settings):
    """What `evaluate` reads of an experiment on trajectories: forecasts, no model."""

    dataset: str
    threads: int
    evaluate: TrajectoriesSettings


def check_forecasts(experiment: Any) -> None:
    """Refuse fewer candidates than forecasts, and what is done with images alone.

    Raises:
        ValueError: one sentence.
    """
    if experiment.evaluate.candidates < experiment.sample.count:
        raise ValueError(
            f"evaluate.candidates is {experiment.evaluate.candidates}; it must be sample.count, "
            f"{experiment.sample.count}, or more"
        )
    if experiment.classify is not None or experiment.apply is not None:
        raise ValueError(
            "classify or apply is given, and x is a trajectory; they need images: leave them out"
        )
