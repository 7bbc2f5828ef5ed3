"""The settings of molecules: how many each measure looks at, and what their stages read."""

from typing import Any, Literal

from pydantic import Field

from ebm.settings import Settings


class MeasuresSettings(Settings):
    """How many molecules the costly measures look at; validity and its like look at all."""

    chemnet: int = Field(ge=513, description="molecules of a set that FCD sees, the first ones")
    properties: int = Field(ge=2, description="molecules of a set in histograms, the first ones")
    inferred: int = Field(ge=2, description="held-out molecules whose z is inferred")


class MoleculesSettings(Settings):
    """Generated molecules are held against training molecules and held-out ones."""

    against: Literal["validation", "test"] = Field(
        description="the held-out part: validation to choose settings, test to report"
    )
    molecules: MeasuresSettings

    @property
    def networks(self) -> list[str]:
        """The feature networks: ChemNet comes with its package, and needs no reference."""
        return []


class SampleMoleculesInputs(Settings):
    """What `sample` reads of an experiment on molecules."""

    dataset: str
    final: str
    device: Literal["cpu", "gpu"]
    threads: int
    seed: int
    sample: Any


class EvaluateMoleculesInputs(Settings):
    """What `evaluate` reads of an experiment on molecules: it asks the model to infer z."""

    dataset: str
    final: str
    threads: int
    seed: int
    evaluate: MoleculesSettings
