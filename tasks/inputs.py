"""What each stage reads of params.yaml: those settings alone, as dvc.yaml declares them."""

from typing import Any, Literal

from ebm.settings import Settings
from tasks.apply_settings import ApplySettings
from tasks.classify_settings import ClassifySettings
from tasks.dataset_settings import Dataset
from tasks.evaluate_settings import EvaluateSettings, Reference
from tasks.experiment_settings import SampleSettings, TrainSettings
from tasks.kinds import kind_of, own_inputs
from tasks.refusals import SettingsError, pick
from tasks.settings import Params


class PrepareInputs(Settings):
    """What `prepare` reads: datasets.NAME."""

    dataset: Dataset


class TrainInputs(Settings):
    """What `train` reads of an experiment, and of its training stages the one it runs."""

    dataset: str
    learner: str
    device: Literal["cpu", "gpu"]
    threads: int
    seed: int
    train: TrainSettings


class SampleInputs(Settings):
    """What `sample` reads of an experiment."""

    final: str
    device: Literal["cpu", "gpu"]
    threads: int
    seed: int
    sample: SampleSettings


class EvaluateInputs(Settings):
    """What `evaluate` reads of an experiment."""

    dataset: str
    threads: int
    seed: int
    evaluate: EvaluateSettings


class ClassifyInputs(Settings):
    """What `classify` reads of an experiment."""

    dataset: str
    final: str
    threads: int
    seed: int
    classify: ClassifySettings


class ApplyInputs(Settings):
    """What `apply` reads of an experiment."""

    dataset: str
    final: str
    threads: int
    seed: int
    apply: ApplySettings


INPUTS: dict[str, type[Settings]] = {
    "prepare": PrepareInputs,
    "reference": Reference,
    "train": TrainInputs,
    "sample": SampleInputs,
    "evaluate": EvaluateInputs,
    "classify": ClassifyInputs,
    "apply": ApplyInputs,
}


def declared(
    stage: str,
    name: str,
    part: str | None = None,
    kind: str | None = None,
    like: str | None = None,
) -> list[str]:
    """Return the keys of params.yaml that a stage reads, as dvc.yaml must declare them.

    Args:
        stage: the stage, as in `python -m tasks STAGE NAME [PART]`.
        name: the data set of fetch and prepare, the reference, the experiment of the others.
        part: the training stage of `train`.
        kind: of the experiment, one of `tasks.kinds.KINDS`; None is images.
        like: the training stage whose settings `part` has but for the seed, if any.
    """
    if stage == "fetch":
        return []
    if stage == "prepare":
        return [f"datasets.{name}"]
    if stage == "reference":
        return [f"references.{name}"]
    reads = own_inputs(stage, kind) or INPUTS[stage]
    keys: list[str] = []
    for field in reads.model_fields:
        key = f"experiments.{name}.{field}"
        keys += [f"{key}.{p}" for p in (part, like) if p] if field == "train" else [key]
    return keys


def inputs(params: Params, stage: str, name: str, part: str | None = None) -> Any:
    """Return the declared settings of a stage, and no others.

    Raises:
        SettingsError: there is no such data set, experiment, stage or part.
    """
    if stage == "prepare":
        return PrepareInputs(dataset=pick(params.datasets, name, "data set"))
    if stage == "reference":
        return pick(params.references, name, "reference")
    experiment = pick(params.experiments, name, "experiment")
    kind = own_inputs(stage, kind_of(experiment.evaluate)) or INPUTS[stage]
    values = {field: getattr(experiment, field) for field in kind.model_fields}
    if "train" in values:
        values["train"] = pick(experiment.train, part or "", f"training stage of {name}")
    if values.get(stage, True) is None:
        raise SettingsError(f"experiment {name} has no {stage} settings, so it has no such stage")
    return kind(**values)
