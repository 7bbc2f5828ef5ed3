"""Which experiments are meant by a word: a name, a tag, a system, a data set, a learner, a kind."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ebm.datasets import source_of
from ebm.datasets.fetch import at_hand, locate
from ebm.datasets.source import missing
from ebm.names import hint
from flows import results
from tasks.dataset_settings import Dataset
from tasks.experiment_settings import Experiment
from tasks.kinds import IMAGES, KINDS, kind_of
from tasks.paths import Paths
from tasks.refusals import SettingsError
from tasks.settings import Params

FAST = 10.0  # minutes of the last measured run up to which an experiment is `fast`
TAGS = ("all", "cpu", "gpu", "fast")


class Choice(NamedTuple):
    """What a suite is of.

    Attributes:
        names: the experiments to run, in the order of params.yaml.
        left_out: those that are meant too and cannot be run here, and why.
    """

    names: list[str]
    left_out: dict[str, str]


def choose(
    paths: Paths, params: Params, words: Sequence[str], gpu_here: Callable[[], bool]
) -> Choice:
    """Return the experiments that the words mean, without those that this machine cannot run.

    Args:
        words: each as `groups` has it, or the name of an experiment.
        gpu_here: tells whether there is a GPU; asked only where one is needed.

    Raises:
        SettingsError: a word is unknown, or nothing is left to run.
    """
    known = groups(paths, params)
    for word in words:
        if word not in known and word not in params.experiments:
            near = hint(word, [*known, *params.experiments])
            raise SettingsError(
                f"there is no experiment, tag, system, data set, learner or kind {word!r}; {near}"
            )
    meant = {name for word in words for name in known.get(word, [word])}
    found = {n: each for n, each in params.experiments.items() if n in meant or n in words}
    left_out: dict[str, str] = {}
    needy = [name for name, each in found.items() if each.device == "gpu"]
    if needy and not gpu_here():
        left_out |= dict.fromkeys(needy, "it needs a GPU, and torch sees none here")
    for name, each in found.items():
        dataset = params.datasets[each.dataset]
        empty = dataset.source == "folder" and not (paths.root / dataset.raw).exists()
        if name in words:  # who names it is told by the check of its stages
            continue
        if empty:
            left_out[name] = f"it waits for your own pictures in {dataset.raw}"
        elif lacking := nowhere(paths, dataset):
            left_out.setdefault(name, lacking)
    names = [name for name in found if name not in left_out]
    if not names:
        why = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise SettingsError(
            f"{' '.join(words)} leaves nothing to run" + (f" ({why})" if why else "")
        )
    return Choice(names, left_out)


def nowhere(paths: Paths, dataset: Dataset) -> str:
    """Say what is missing of data that no stage can fetch, nothing where all is there."""
    if (paths.root / dataset.raw).exists():
        return ""
    source = at_hand(source_of(dataset.source))
    for name in source.files:
        if locate(source, name) is None and not (source.carrier or source.address):
            return str(missing(source, name))
    return ""


def groups(paths: Paths, params: Params) -> dict[str, list[str]]:
    """Return the experiments of each word that means several, by the settings as they are."""
    found: dict[str, list[str]] = {tag: [] for tag in TAGS}
    raw = results.experiments(paths)
    for name, experiment in params.experiments.items():
        for word in words_of(params, experiment):
            found.setdefault(word, []).append(name)
        minutes = results.minutes(paths, name, raw[name])
        if minutes is not None and minutes <= FAST:
            found["fast"].append(name)
    return {word: names for word, names in found.items() if word not in params.experiments}


def words_of(params: Params, experiment: Experiment) -> list[str]:
    """Return the words that an experiment answers to by its settings, each once."""
    kind: Any = kind_of(experiment.evaluate)
    words = [
        "all",
        experiment.device,
        *experiment.systems,
        kind if kind in KINDS else IMAGES,
        experiment.learner,
        experiment.dataset,
        params.datasets[experiment.dataset].source,
    ]
    return list(dict.fromkeys(words))
