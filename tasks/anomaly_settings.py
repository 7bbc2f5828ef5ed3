"""The settings of experiments that find anomalies: what is held out, and what its stages read."""

from typing import Literal

from pydantic import Field, model_validator

from ebm.settings import Settings


class AnomalySettings(Settings):
    """A model of normal items ranks normal ones and anomalies."""

    against: Literal["test"] = Field(
        description="the part that is ranked; anomalies are in no other, so nothing is chosen by it"
    )
    models: list[str] = Field(
        min_length=1,
        description="training stages judged, the final one first: the same, with several seeds",
    )
    gallery: int = Field(ge=1, description="items shown: the strangest, and the most normal")

    @model_validator(mode="after")
    def check_models(self) -> "AnomalySettings":
        """Each model is judged once."""
        if len(set(self.models)) < len(self.models):
            raise ValueError(f"models is {self.models}; name each training stage once")
        return self

    @property
    def networks(self) -> list[str]:
        """The feature networks: none."""
        return []


class SampleAnomalyInputs(Settings):
    """What `sample` reads: it scores the test part by every model that is judged."""

    dataset: str
    final: str
    device: Literal["cpu", "gpu"]
    threads: int
    seed: int
    evaluate: AnomalySettings


class EvaluateAnomalyInputs(Settings):
    """What `evaluate` reads."""

    dataset: str
    final: str
    threads: int
    seed: int
    evaluate: AnomalySettings
