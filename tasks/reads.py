"""What each stage reads beside its settings: what stands behind its fingerprint, as in dvc.yaml."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasks.anomaly_settings import EvaluateAnomalyInputs
from tasks.paths import Paths


def reads(stage: str, name: str, inputs: Any, paths: Paths) -> list[Path]:
    """Return the files and folders that a stage reads.

    Args:
        name: of the data set, the reference or the experiment.
        inputs: its settings, as `tasks.inputs.inputs` gives them; None of fetch.
    """
    return READS[stage](name, inputs, paths)


def data(inputs: Any, paths: Paths) -> list[Path]:
    """Return the prepared data, where the stage looks at them."""
    return [paths.prepared(inputs.dataset)] if hasattr(inputs, "dataset") else []


def of_reference(name: str, inputs: Any, paths: Paths) -> list[Path]:
    """The network's weights and the data."""
    return [paths.root / inputs.weights, *data(inputs, paths)]


def of_train(name: str, inputs: Any, paths: Paths) -> list[Path]:
    """Training data, network weights, where chains start, what is below; else the manifest."""
    folder, asked = paths.prepared(inputs.dataset), inputs.train
    weights = getattr(getattr(asked.model, "network", None), "weights", None)
    others = [paths.root / weights] if weights else []
    others += [paths.prepared(asked.source)] if asked.source else []
    others += [paths.model(name, asked.below)] if asked.below else []
    return [folder / "train.npz", *(others or [folder / "manifest.json"])]


def of_sample(name: str, inputs: Any, paths: Paths) -> list[Path]:
    """The model; of what is judged with several seeds, all that are named."""
    if hasattr(getattr(inputs, "evaluate", None), "models"):
        models = [paths.model(name, each) for each in inputs.evaluate.models]
    else:
        models = [paths.model(name, inputs.final)]
    return [*models, *data(inputs, paths)]


def of_evaluate(name: str, inputs: Any, paths: Paths) -> list[Path]:
    """Samples and data; a kind that infers or scores asks the model as well."""
    found = [paths.samples(name), *data(inputs, paths)]
    if "inception" in inputs.evaluate.networks:
        found.append(paths.reference(inputs.dataset, "inception"))
    asks = hasattr(inputs, "final") and not isinstance(inputs, EvaluateAnomalyInputs)
    return [paths.model(name, inputs.final), *found] if asks else found


def of_classify(name: str, inputs: Any, paths: Paths) -> list[Path]:
    """The model, the data, and what other networks saw of them."""
    seen = [paths.reference(inputs.dataset, network) for network in inputs.classify.networks]
    return [paths.model(name, inputs.final), *data(inputs, paths), *seen]


def of_apply(name: str, inputs: Any, paths: Paths) -> list[Path]:
    """The model, the data, and other data that an application names."""
    found = [paths.model(name, inputs.final), *data(inputs, paths)]
    found += [paths.prepared(other) for other in inputs.apply.datasets().values()]
    if inputs.apply.translate:
        found.append(paths.reference(inputs.dataset, "efficientnet"))
    return found


READS: dict[str, Callable[[str, Any, Paths], list[Path]]] = {
    "fetch": lambda name, inputs, paths: [],
    "prepare": lambda name, inputs, paths: [paths.root / inputs.dataset.raw],
    "reference": of_reference,
    "train": of_train,
    "sample": of_sample,
    "evaluate": of_evaluate,
    "classify": of_classify,
    "apply": of_apply,
}
