"""params.yaml, read once into typed, frozen settings; a stage sees only those it declares."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from ebm.datasets import LOADERS, loader
from ebm.learn import learner_class, refusal
from ebm.learner import FitSettings
from ebm.names import hint
from ebm.processes import check_division
from ebm.settings import Settings, inside_project, missing
from tasks.apply_settings import ApplySettings
from tasks.classify_settings import ClassifySettings
from tasks.evaluate_settings import SLOW, EvaluateSettings, Reference
from tasks.kinds import IMAGES, AnyEvaluateSettings, items_of, kind_of, own_inputs
from tasks.limits import Limits
from tasks.molecules_settings import MoleculesSettings
from tasks.params_file import override, read_yaml
from tasks.points_settings import PointsSettings, check_quadrature, check_replay, point_shape
from tasks.refusals import Name, SettingsError, located, pick, sentence, telling
from tasks.trajectories_settings import TrajectoriesSettings, check_models


class Dataset(Settings):
    """A data set and how it is split."""

    source: str = Field(description="loader in ebm/datasets")
    raw: str = Field(description="file or folder of the raw data, inside the project")
    validation: int = Field(ge=1, description="items held out to choose settings")
    test: int = Field(ge=1, description="held out to report: of the official test part, if any")
    seed: int = Field(ge=0, description="of the split")
    mirror: bool = Field(
        default=False,
        exclude_if=lambda mirror: not mirror,
        description="training images are also given mirrored, left to right",
    )
    options: Any = Field(
        default=None,
        exclude_if=lambda options: options is None,
        description="settings of the loader, where it has any: Options of its file",
    )

    @model_validator(mode="before")
    @classmethod
    def type_the_options(cls, data: Any) -> Any:
        """Read `options` as the settings of the source's loader."""
        if not isinstance(data, Mapping) or data.get("source") not in LOADERS:
            return data
        return {**data, "options": options_of(data["source"], data.get("options"))}

    @field_validator("source")
    @classmethod
    def known(cls, source: str) -> str:
        """Refuse a source that no loader has."""
        loader(source)
        return source

    @field_validator("raw")
    @classmethod
    def inside(cls, raw: str) -> str:
        """Keep the path inside the project."""
        return inside_project(raw)


def options_of(source: str, raw: Any) -> Settings | None:
    """Return a data set's raw options read as the settings of its loader, None if it has none."""
    kind: type[Settings] | None = loader(source).Options
    if kind is None:
        if raw is not None:
            raise ValueError(f"options is {raw!r}; the source {source} has none, so leave it out")
        return None
    try:
        return kind.model_validate({} if raw is None else raw)
    except ValidationError as error:
        raise located(error, kind, ("options",)) from error


class TrainSettings(Settings):
    """One training stage."""

    below: str | None = Field(description="training stage this one is learned over; null: none")
    seed: int | None = Field(
        default=None,
        ge=0,
        exclude_if=missing,
        description="of this stage, in place of the experiment's: the same learned again",
    )
    source: str | None = Field(
        default=None,
        exclude_if=missing,
        description="data set whose training images chains start at, where start is source",
    )
    processes: int = Field(
        default=1,
        ge=1,
        exclude_if=lambda processes: processes == 1,
        description="processes that learn together, a part of the batch each; the bits depend on "
        "it; on a GPU each has one of its own",
    )
    fit: FitSettings
    model: Any = Field(description="settings of the learner")

    @model_validator(mode="after")
    def check_processes(self) -> "TrainSettings":
        """The processes share a batch equally."""
        check_division(self.fit.batch, self.processes)
        return self

    @model_validator(mode="after")
    def check_source(self) -> "TrainSettings":
        """A second data set is named where chains start at it, and nowhere else."""
        if getattr(self.model, "translates", False) != (self.source is not None):
            start = getattr(getattr(self.model, "start", None), "start", None)
            raise ValueError(
                f"source is {self.source!r} and model.start is {start!r}; a data set is named as "
                "source where chains start there, and only then"
            )
        return self


class SampleSettings(Settings):
    """What is drawn from the trained model."""

    count: int = Field(ge=2, description="samples in one draw")
    draws: int = Field(ge=1, description="independent draws, for the spread")
    keep: int = Field(ge=1, description="Langevin steps between the states pictured")
    shown: int = Field(ge=1, description="samples on the sheet")
    cooler: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        default=(),
        exclude_if=lambda cooler: not cooler,
        description="temperatures at which a sequence is decoded besides, below 1; of molecules",
    )


class Goal(Settings):
    """What a metric is held against: the seed's printed figure, and ours."""

    seed_figure: float | str | None
    goal: float | str | None


class Experiment(Settings):
    """An experiment: data, learner, and the settings of its stages."""

    about: str
    systems: list[str] = Field(min_length=1)
    dataset: str
    learner: str
    network: str
    final: str = Field(description="training stage whose model is sampled")
    device: Literal["cpu", "gpu"]
    threads: int = Field(ge=1, le=256, description="threads of torch; the bits depend on it")
    seed: int = Field(ge=0)
    train: dict[Name, TrainSettings] = Field(min_length=1)
    sample: SampleSettings
    evaluate: AnyEvaluateSettings
    classify: ClassifySettings | None = None
    apply: ApplySettings | None = None
    goals: dict[str, Goal] = {}

    @model_validator(mode="before")
    @classmethod
    def type_the_models(cls, data: Any) -> Any:
        """Read each stage's `model` as the settings of the experiment's learner."""
        if not isinstance(data, Mapping) or not isinstance(data.get("learner"), str):
            return data
        kind = learner_class(data["learner"]).Settings
        stages = data.get("train")
        if isinstance(stages, Mapping):
            data = {**data, "train": {k: typed(v, k, kind) for k, v in stages.items()}}
            check_quadrature(data["train"], data.get("evaluate"))
        return data

    @model_validator(mode="after")
    def check_stages(self) -> "Experiment":
        """Each stage stands on an earlier one, and the final one exists."""
        seen: list[str] = []
        for stage, settings in self.train.items():
            if settings.below is not None and settings.below not in seen:
                raise ValueError(
                    f"train.{stage}.below is {settings.below!r}; it must be null or an earlier "
                    f"training stage ({', '.join(seen) or 'there is none'})"
                )
            seen.append(stage)
        if self.final not in seen:
            raise ValueError(f"final is {self.final!r}; it must be one of {', '.join(seen)}")
        return self

    @model_validator(mode="after")
    def check_classify(self) -> "Experiment":
        """The features can be tuned where that is asked for."""
        if (
            self.classify
            and self.classify.fine_tune
            and (why := refusal(self.learner, "fine_tune"))
        ):
            raise ValueError(
                f"classify.fine_tune is given, and the learner {self.learner} {why}; leave it out"
            )
        return self

    @model_validator(mode="after")
    def check_apply(self) -> "Experiment":
        """The learner can do every application that is asked for, at its size of images."""
        if self.apply is None:
            return self
        for application in self.apply.asked():
            if why := refusal(self.learner, application):
                raise ValueError(
                    f"apply.{application} is given, and the learner {self.learner} {why}; leave "
                    "it out"
                )
        model = self.train[self.final].model
        self.apply.check_model(self.network, self.final, model)
        if self.apply.hopfield and not isinstance(
            reference := getattr(model, "reference", None), float
        ):
            raise ValueError(
                f"apply.hopfield is given, and reference is {reference or 'null'}; it needs the sd "
                "of a white Gaussian reference"
            )
        grids = getattr(model, "grids", None)
        if self.apply.inpaint and grids:
            self.apply.inpaint.check_size(grids[-1].size)
        if self.apply.long_chains:
            self.apply.long_chains.check_length(model.chain.steps, model.chain.sample_steps)
        shape = getattr(getattr(model, "network", None), "shape", (1, 1, 1))
        if len(shape) != 3:
            raise ValueError(f"apply is given, and x is of shape {shape}; it needs images")
        return self

    @model_validator(mode="after")
    def check_points(self) -> "Experiment":
        """Points in the plane, and they alone, are judged by quadrature."""
        if not isinstance(self.evaluate, PointsSettings):
            return self
        shape = point_shape(self.train[self.final].model)
        if shape != (2,):
            found = "an image" if shape is None else f"of shape {shape}"
            raise ValueError(f"evaluate.quadrature is given, and x is {found}; it needs (2,)")
        if self.classify is not None:
            raise ValueError("classify is given, and x is a point; it needs images: leave it out")
        check_replay(self.evaluate, self.train[self.final].model)
        return self

    @model_validator(mode="after")
    def check_cooler(self) -> "Experiment":
        """Sequences alone are decoded at a temperature."""
        if self.sample.cooler and not isinstance(self.evaluate, MoleculesSettings):
            raise ValueError(
                f"sample.cooler is {list(self.sample.cooler)}, and what is learned is no molecule; "
                "leave it out"
            )
        return self

    @model_validator(mode="after")
    def check_trajectories(self) -> "Experiment":
        """Trajectories are forecast by the training stages that are named."""
        if isinstance(self.evaluate, TrajectoriesSettings):
            check_models(self)
        return self


def typed(stage: Any, name: str, kind: type[Settings]) -> Any:
    """Return a training stage's raw settings with its `model` read as `kind`."""
    if isinstance(stage, Mapping) and isinstance(stage.get("model"), Mapping):
        try:
            return {**stage, "model": kind.model_validate(stage["model"])}
        except ValidationError as error:
            raise located(error, kind, ("train", name, "model")) from error
    return stage


class Params(Settings):
    """The whole of params.yaml."""

    datasets: dict[Name, Dataset]
    references: dict[Name, Reference] = {}
    experiments: dict[Name, Experiment]
    limits: Limits = Limits()

    @model_validator(mode="after")
    def check_names(self) -> "Params":
        """Each data set and reference that is named exists."""
        named = {f"references.{name}": each.dataset for name, each in self.references.items()}
        named |= {f"experiments.{name}": each.dataset for name, each in self.experiments.items()}
        named = {f"{key}.dataset": dataset for key, dataset in named.items()}
        for name, each in self.experiments.items():
            others = each.apply.datasets() if each.apply else {}
            named |= {f"experiments.{name}.apply.{key}": other for key, other in others.items()}
            for stage, settings in each.train.items():
                if settings.source:
                    named[f"experiments.{name}.train.{stage}.source"] = settings.source
        for key, dataset in named.items():
            if dataset not in self.datasets:
                raise ValueError(f"{key} is {dataset!r}; {hint(dataset, self.datasets)}")
        self.check_references()
        self.check_items()
        return self

    def check_items(self) -> None:
        """The data of each experiment are of the kind that it is judged as."""
        for name, each in self.experiments.items():
            of_data = getattr(loader(self.datasets[each.dataset].source), "ITEMS", IMAGES)
            learned = items_of(each.evaluate)
            if of_data != learned:
                raise ValueError(
                    f"experiments.{name}.dataset is {each.dataset}, whose items are {of_data}; "
                    f"the settings of train and evaluate are for {learned}"
                )

    def check_references(self) -> None:
        """A network that needs a reference has one."""
        made = {(each.dataset, each.network) for each in self.references.values()}
        for name, experiment in self.experiments.items():
            classify = experiment.classify.networks if experiment.classify else []
            asked = [("evaluate.networks has", each) for each in experiment.evaluate.networks]
            asked += [("classify.networks has", each) for each in classify]
            if experiment.apply and experiment.apply.translate:
                asked.append(("apply.translate needs", "efficientnet"))
            for key, network in asked:
                if network in SLOW and (experiment.dataset, network) not in made:
                    raise ValueError(
                        f"experiments.{name}.{key} {network}; references has none "
                        f"of the data set {experiment.dataset} by it"
                    )


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


def declared(stage: str, name: str, part: str | None = None, kind: str | None = None) -> list[str]:
    """Return the keys of params.yaml that a stage reads, as dvc.yaml must declare them.

    Args:
        stage: the stage, as in `python -m tasks STAGE NAME [PART]`.
        name: the data set of fetch and prepare, the reference, the experiment of the others.
        part: the training stage of `train`.
        kind: of the experiment, one of `tasks.kinds.KINDS`; None is images.
    """
    if stage == "fetch":
        return []
    if stage == "prepare":
        return [f"datasets.{name}"]
    if stage == "reference":
        return [f"references.{name}"]
    reads = own_inputs(stage, kind) or INPUTS[stage]
    keys = [f"experiments.{name}.{field}" for field in reads.model_fields]
    return [f"{key}.{part}" if key.endswith(".train") else key for key in keys]


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


def read(path: Path, overrides: Mapping[str, Any] | None = None) -> Params:
    """Read params.yaml, with some keys changed.

    Args:
        overrides: new values by dotted key; each key must exist.

    Raises:
        SettingsError: the file is missing or no YAML, or a key, type or range is wrong.
    """
    return validate(override(read_yaml(path), overrides or {}), path.name)


def validate(content: Mapping[str, Any], source: str = "params.yaml") -> Params:
    """Read raw content into typed settings."""
    try:
        return Params.model_validate(content)
    except SettingsError as error:
        raise SettingsError(f"{source}: {error}") from None
    except ValidationError as error:
        raise SettingsError(f"{source}: {sentence(telling(error), Params)}") from None
