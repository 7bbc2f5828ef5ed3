"""The settings of `evaluate` for points, whose density is known and summed over a grid."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ebm.settings import Settings
from tasks.evaluate_settings import EvaluateSettings

OF_IMAGES = set(EvaluateSettings.model_fields) - {"against"}


class QuadratureSettings(Settings):
    """The grid over which densities in the plane are summed."""

    half: float = Field(gt=0, description="half a side of the box about 0, in the units of x")
    cells: int = Field(ge=2, description="cells along a side; each smaller than any structure")


class ReplaySettings(Settings):
    """Learning done again, briefly, to be watched."""

    shown: list[Annotated[int, Field(ge=1)]] = Field(
        min_length=1, description="updates pictured, in order; the last ends it"
    )
    batch: int = Field(ge=2, description="data, and chains, of an update")
    chains: int = Field(ge=1, description="chains whose way is drawn")

    @model_validator(mode="after")
    def in_order(self) -> "ReplaySettings":
        """The updates are in order, and there are as many chains as are drawn."""
        if sorted(set(self.shown)) != self.shown:
            raise ValueError(f"shown is {self.shown}; give each update once, in order")
        if self.chains > self.batch:
            raise ValueError(f"chains is {self.chains}, of a batch of {self.batch}; give less")
        return self


class PointsSettings(Settings):
    """A model of points in the plane is held against the density they were drawn from."""

    against: Literal["validation", "test"] = Field(
        description="the held-out part: validation to choose settings, test to report"
    )
    quadrature: QuadratureSettings
    replay: ReplaySettings | None = Field(
        default=None,
        exclude_if=lambda replay: replay is None,
        description="mode seeking and mode shifting are pictured; of learners with chains",
    )

    @model_validator(mode="before")
    @classmethod
    def no_images(cls, data: Any) -> Any:
        """Refuse what looks at images."""
        found = sorted(OF_IMAGES & set(data)) if isinstance(data, Mapping) else []
        if found:
            raise ValueError(
                f"{found[0]} is of images; with quadrature, x is a point: leave it out"
            )
        return data

    @property
    def networks(self) -> list[str]:
        """The feature networks: points need none."""
        return []


class EvaluatePointsInputs(Settings):
    """What `evaluate` reads of an experiment on points: it asks the model for its density."""

    dataset: str
    final: str
    threads: int
    seed: int
    evaluate: PointsSettings


def point_shape(model: Any) -> tuple[int, ...] | None:
    """Return the shape of the points that a learner's settings are for, None for images."""
    shape = tuple(getattr(getattr(model, "network", None), "shape", ()))
    return shape if len(shape) == 1 else None


def check_replay(evaluate: PointsSettings, model: Any) -> None:
    """Refuse to watch chains where there are none while a model learns, or too few.

    Raises:
        ValueError: one sentence.
    """
    if evaluate.replay is None:
        return
    start = getattr(model, "start", None)
    if start is None:
        raise ValueError(
            "evaluate.replay is given, and the learner has no chains while it learns: leave it out"
        )
    most = getattr(start, "chains", evaluate.replay.batch)
    if most < evaluate.replay.batch:
        raise ValueError(
            f"evaluate.replay.batch is {evaluate.replay.batch}; start.chains, {most}, is the most"
        )


def check_quadrature(stages: Any, evaluate: Any) -> None:
    """Refuse points without a quadrature.

    Args:
        stages: the training stages, their `model` read already.
        evaluate: the raw settings.

    Raises:
        ValueError: one sentence.
    """
    found = stages.values() if isinstance(stages, Mapping) else ()
    models = [stage.get("model") for stage in found if isinstance(stage, Mapping)]
    points = any(point_shape(model) for model in models)
    if points and isinstance(evaluate, Mapping) and "quadrature" not in evaluate:
        raise ValueError(
            "evaluate.quadrature is missing, and x is a point: give the grid that its density is "
            "summed over, such as {half: 4.0, cells: 160}"
        )
