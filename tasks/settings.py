"""params.yaml, read once into typed, frozen settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError, model_validator

from ebm.datasets import loader
from ebm.metrics.fid import check_count
from ebm.names import hint
from ebm.settings import Settings
from tasks.dataset_settings import Dataset
from tasks.evaluate_settings import SLOW, Reference
from tasks.experiment_settings import Experiment
from tasks.kinds import IMAGES, items_of
from tasks.limits import Limits
from tasks.params_file import override, read_yaml
from tasks.refusals import Name, SettingsError, sentence, telling


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
        """Data are of the kind that they are judged as, and do not show what is to be hidden."""
        for name, each in self.experiments.items():
            of_data = getattr(loader(self.datasets[each.dataset].source), "ITEMS", IMAGES)
            learned = items_of(each.evaluate)
            if of_data != learned:
                raise ValueError(
                    f"experiments.{name}.dataset is {each.dataset}, whose items are {of_data}; "
                    f"the settings of train and evaluate are for {learned}"
                )
            hides = any(getattr(stage.model, "incomplete", None) for stage in each.train.values())
            if hides and self.datasets[each.dataset].mirror:
                raise ValueError(
                    f"experiments.{name} hides parts of training images, and its data set "
                    f"{each.dataset} has mirror: an image's twin would show what is hidden in it; "
                    "give a data set without mirror"
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
            self.check_fid(name, experiment)

    def check_fid(self, name: str, experiment: Experiment) -> None:
        """FID has enough images on either side; it would be refused after all training else."""
        part = getattr(experiment.evaluate, "fid", None)
        if part is None:
            return
        check_count(experiment.sample.count, f"experiments.{name}.sample.count, a draw of samples,")
        if part == "test":
            held = f"datasets.{experiment.dataset}.test"
            what = f"{held}, to which experiments.{name}.evaluate.fid holds samples,"
            check_count(self.datasets[experiment.dataset].test, what)
        for key, each in self.references.items():
            if (each.dataset, each.network) == (experiment.dataset, "inception"):
                most = each.images if each.training is None else min(each.images, each.training)
                shared = most // 2 if part == "train" else most  # the floor has the other half
                check_count(shared, f"references.{key}, of which experiments.{name} asks for FID,")


def read(path: Path, overrides: Mapping[str, Any] | None = None) -> Params:
    """Read params.yaml, with some keys changed.

    Args:
        overrides: new values by dotted key; all but its last part must exist.

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
