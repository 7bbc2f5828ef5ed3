"""`ebm promote RUN`: the model that a run of MLflow trained, be it still in models/ or not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.mlflow_runs import children, chosen, find, opened, stage_of
from tasks.mlflow_store import Store
from tasks.paths import Paths
from tasks.registry import (
    DIGEST,
    check_alias,
    digest_of,
    model_folder,
    named,
    new_version,
    registered,
)
from tasks.telling import BOUNDS

KEPT = ("git.commit", "dvc.lock.sha256", "fingerprint", "verdict", "command")  # tags of a run


def promote_run(word: str, alias: str, paths: Paths) -> Iterator[str]:
    """Give an alias to the model that a run trained; say what was done.

    Args:
        word: the id, or its first characters, of a flow's run or of a training stage's; of a flow
            of several experiments RUN:NAME.

    Raises:
        ValueError: there is no such run, it trained no final model, or that model is gone.
    """
    check_alias(alias)
    store = opened(word, paths)
    name, run = trainer(word, store)
    model = store.client.get_logged_model(run.outputs.model_outputs[-1].model_id)
    folder = model_folder(model.artifact_location)
    if folder is None:
        raise ValueError(
            f"the model of the run {word} is gone from {model.artifact_location}; "
            f"`ebm promote {name}` registers the model that is in models/"
        )
    digest = digest_of(folder)
    number = registered(store, name, digest)
    if number is None:
        number = new_version(store, name, run, {DIGEST: digest, **tags(store, name, run, folder)})
    yield from named(store, name, number, alias)


def trainer(word: str, store: Store) -> tuple[str, Any]:
    """Return the experiment that is meant, and the run that trained its final model.

    Raises:
        ValueError: there is no such run, or it trained none, or those of several experiments.
    """
    mark, _, name = word.partition(":")
    run = find(store, mark)
    trained = {}
    for each in [run, *children(store, run)]:
        stage, whole = stage_of(each), store.client.get_run(each.info.run_id)
        if stage and stage[0][1] == "train" and whole.outputs and whole.outputs.model_outputs:
            trained[stage[0][0]] = whole
    if not trained:
        raise ValueError(
            f"{mark} is the run {run.info.run_name!r} of MLflow, which trained no final model; "
            "name a run that did, or the experiment: its model in models/ is meant then"
        )
    name = chosen(word, name, trained)
    return name, trained[name]


def tags(store: Store, name: str, run: Any, folder: Path) -> dict[str, str]:
    """Return what a version says of the run that trained it, with the figures of its flow."""
    known = {key: run.data.tags[key] for key in KEPT if key in run.data.tags}
    flow = store.client.get_run(run.data.tags["mlflow.parentRunId"])
    figures = {
        key.removeprefix(f"{name}/"): f"{value:.6g}"
        for key, value in flow.data.metrics.items()
        if key.startswith(f"{name}/") and not key.endswith(BOUNDS)
    }
    return {"ebm.experiment": name, "ebm.part": folder.name, **known, **figures}
