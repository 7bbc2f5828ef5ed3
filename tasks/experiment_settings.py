"""The settings of an experiment: training stages, what is drawn, judged and tried, goals."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from ebm.learn import learner_class, refusal
from ebm.learner import FitSettings
from ebm.processes import check_division
from ebm.settings import Settings, missing
from tasks.apply_settings import ApplySettings
from tasks.classify_settings import ClassifySettings
from tasks.kinds import AnyEvaluateSettings
from tasks.molecules_settings import MoleculesSettings
from tasks.points_settings import PointsSettings, check_quadrature, check_replay, point_shape
from tasks.refusals import Name, located
from tasks.trajectories_settings import TrajectoriesSettings, check_forecasts


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


class AgainSettings(Settings):
    """A training stage that is another one with its own seed."""

    like: str = Field(description="the other stage: all but the seed is as it has it")
    seed: int = Field(ge=0, description="of this stage")


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
            stages = {k: written_out(k, stages) for k in stages}
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
        chain = getattr(model, "chain", None)
        for application in ("reconstruct", "hopfield"):
            if getattr(self.apply, application) and not plain(chain):
                raise ValueError(
                    f"apply.{application} is given, and the chain is coloured or has leapfrogs; it "
                    "needs Langevin steps in x"
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
        """Twenty forecasts that lie apart are of at least twenty, and nothing else is done."""
        if isinstance(self.evaluate, TrajectoriesSettings):
            check_forecasts(self)
        return self

    @model_validator(mode="after")
    def check_models(self) -> "Experiment":
        """Models that are judged side by side are training stages, the final one first."""
        models = getattr(self.evaluate, "models", None)
        if models is None:
            return self
        for name in models:
            if name not in self.train:
                raise ValueError(
                    f"evaluate.models has {name!r}; the training stages are {', '.join(self.train)}"
                )
        if self.final != models[0]:
            raise ValueError(f"final is {self.final!r}; evaluate.models must begin with it")
        return self


def plain(chain: Any) -> bool:
    """Tell whether a chain's steps are Langevin's, in x itself."""
    return not (getattr(chain, "coloured", False) or getattr(chain, "leapfrogs", None))


def written_out(name: str, stages: Mapping[str, Any]) -> Any:
    """Return the raw settings of a training stage, of one like another as that one has them.

    Raises:
        ValueError: what it is like is no stage, or has no settings of its own, or it has others.
    """
    stage = stages[name]
    if not isinstance(stage, Mapping) or "like" not in stage:
        return stage
    try:
        again = AgainSettings.model_validate(stage)
    except ValidationError as error:
        raise located(error, AgainSettings, ("train", name)) from error
    first = stages.get(again.like)
    if not isinstance(first, Mapping) or "like" in first:
        own = [k for k, v in stages.items() if isinstance(v, Mapping) and "like" not in v]
        raise ValueError(
            f"train.{name}.like is {again.like!r}; it must be a training stage with settings of "
            f"its own ({', '.join(own) or 'there is none'})"
        )
    return {**first, "seed": again.seed}


def typed(stage: Any, name: str, kind: type[Settings]) -> Any:
    """Return a training stage's raw settings with its `model` read as `kind`."""
    if isinstance(stage, Mapping) and isinstance(stage.get("model"), Mapping):
        try:
            return {**stage, "model": kind.model_validate(stage["model"])}
        except ValidationError as error:
            raise located(error, kind, ("train", name, "model")) from error
    return stage
