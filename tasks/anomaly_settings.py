"""The settings of experiments that find anomalies: what is held out, and what its stages read."""

from typing import Literal

from pydantic import Field

from ebm.settings import Settings


class AnomalySettings(Settings):
    """A model of normal items ranks normal ones and anomalies."""

    against: Literal["test"] = Field(
        description="the part that is ranked; anomalies are in no other, so nothing is chosen by it"
    )
    gallery: int = Field(ge=1, description="items shown: the strangest, and the most normal")

    @property
    def networks(self) -> list[str]:
        """The feature networks: none."""
        return []


class SampleAnomalyInputs(Settings):
    """What `sample` reads: it scores the test part by the model of every training stage."""

    dataset: str
    final: str
    device: Literal["cpu", "gpu"]
    threads: int
    seed: int


class EvaluateAnomalyInputs(Settings):
    """What `evaluate` reads."""

    dataset: str
    final: str
    threads: int
    seed: int
    evaluate: AnomalySettings
