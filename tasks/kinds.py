"""Kinds of experiments that are not judged as images are, each by a setting that marks it."""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import WrapValidator

from ebm.settings import Settings
from tasks.anomaly_settings import AnomalySettings, EvaluateAnomalyInputs, SampleAnomalyInputs
from tasks.evaluate_settings import EvaluateSettings
from tasks.molecules_settings import (
    EvaluateMoleculesInputs,
    MoleculesSettings,
    SampleMoleculesInputs,
)
from tasks.points_settings import EvaluatePointsInputs, PointsSettings
from tasks.trajectories_settings import (
    EvaluateTrajectoriesInputs,
    SampleTrajectoriesInputs,
    TrajectoriesSettings,
)


class Kind(NamedTuple):
    """How a kind of experiment is judged.

    Attributes:
        key: the setting of `evaluate` that only this kind has, and always.
        settings: of `evaluate`; they have `against`, and `networks`, empty.
        inputs: by stage, what it reads where that is not what it reads of images. Such a stage is
            done by tasks/STAGE_KIND.py and stands in dvc.yaml as STAGE-KIND.
        items: what the loader of its data has as ITEMS.
    """

    key: str
    settings: type[Settings]
    inputs: Mapping[str, type[Settings]]
    items: str


KINDS: dict[str, Kind] = {
    "molecules": Kind(
        "molecules",
        MoleculesSettings,
        {"sample": SampleMoleculesInputs, "evaluate": EvaluateMoleculesInputs},
        "molecules",
    ),
    "points": Kind("quadrature", PointsSettings, {"evaluate": EvaluatePointsInputs}, "points"),
    "anomaly": Kind(
        "gallery",
        AnomalySettings,
        {"sample": SampleAnomalyInputs, "evaluate": EvaluateAnomalyInputs},
        "images",
    ),
    "trajectories": Kind(
        "candidates",
        TrajectoriesSettings,
        {"sample": SampleTrajectoriesInputs, "evaluate": EvaluateTrajectoriesInputs},
        "trajectories",
    ),
}
IMAGES = "images"


def kind_of(evaluate: Any) -> str | None:
    """Return the kind that settings of `evaluate` are of, read or raw; None is images."""
    for name, kind in KINDS.items():
        marked = isinstance(evaluate, Mapping) and kind.key in evaluate
        if marked or isinstance(evaluate, kind.settings):
            return name
    return None


def items_of(evaluate: Any) -> str:
    """Return what the data of an experiment must be, by its settings of `evaluate`."""
    kind = kind_of(evaluate)
    return KINDS[kind].items if kind else IMAGES


def own_inputs(stage: str, kind: str | None) -> type[Settings] | None:
    """Return what a stage reads in the way of its kind, None where it is as with images."""
    return KINDS[kind].inputs.get(stage) if kind else None


def by_kind(raw: Any, read: Any) -> Any:
    """Read the settings as those of the kind that they mark."""
    kind = kind_of(raw)
    return (KINDS[kind].settings if kind else EvaluateSettings).model_validate(raw)


AnyEvaluateSettings = Annotated[
    EvaluateSettings | MoleculesSettings | PointsSettings | AnomalySettings | TrajectoriesSettings,
    WrapValidator(by_kind),
]
