"""MLflow's model registry: a trained model under an alias that stays while versions come and go.

    from tasks import registry

    model = registry.load("multigrid-digits", "champion")
    images = model.sample(16, seed=0)

A registered model is named as its experiment. `load` reads the folder that training wrote, as data;
`mlflow.pyfunc.load_model` would run the code that lies beside it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from ebm.checksum import sha256, together
from ebm.names import hint
from tasks import lineage
from tasks.artefacts import read_json
from tasks.measured import checksums, strangers
from tasks.mlflow_store import Store, check
from tasks.paths import Paths
from tasks.refusals import pick

ALIAS = "champion"
FILES = ("model.json", "model.pt")  # of a trained model's folder
NAMING = re.compile(r"[A-Za-z][\w-]*")
VERSION = re.compile(r"v\d+|latest", re.I)  # aliases that MLflow keeps for itself
DIGEST = "ebm.model.sha256"


def load(name: str, alias: str = ALIAS, root: str | Path = ".", device: str = "cpu") -> Any:
    """Load the model that an alias names, as `ebm.load` does.

    Args:
        name: of the experiment.
        root: the project's folder, which holds mlflow.db.

    Raises:
        ValueError: nothing is promoted under this name and alias, or its files are gone.

    Example, in a project where nothing is promoted; else `.sample(16, seed=0)` draws images:

        >>> load("multigrid-digits", root="new")
        Traceback (most recent call last):
        ValueError: new/mlflow.db is not there, so no model is promoted; `ebm promote` does that
    """
    from ebm.stored import load as load_model

    store = opened(Paths(Path(root)))
    found = versions(store, name)
    if not found:
        known = [model.name for model in store.client.search_registered_models()]
        raise ValueError(f"no model {name!r} is promoted; {hint(name, known)}")
    given = aliases(store, name)
    if alias not in given:
        raise ValueError(f"{name} has no alias {alias!r}; {hint(alias, given)}")
    version = next(v for v in found if str(v.version) == given[alias])
    folder = files_of(store, version)
    if folder is None:
        raise ValueError(
            f"the files of {name} version {version.version} are gone from {version.source}; "
            f"`ebm promote {name}` registers the model that is here"
        )
    return load_model(folder, device)


def promote(name: str, alias: str, paths: Paths, version: int | None = None) -> Iterator[str]:
    """Give an alias to an experiment's trained model, or to an earlier version; say what was done.

    The same model is one version, however often it is promoted: cut off anywhere, it is promoted
    again.

    Args:
        version: the number of an earlier version; None is the model that is trained here.

    Raises:
        ValueError: the experiment is not trained, or there is no such version or alias.
    """
    check_alias(alias)
    folder = None if version else trained(name, paths)
    store = opened(paths, new=version is None)
    if folder is None:
        number = earlier(store, name, str(version))
    else:
        digest = digest_of(folder)
        number = registered(store, name, digest) or register(store, name, folder, digest, paths)
    yield from named(store, name, number, alias)


def check_alias(alias: str) -> None:
    """Refuse an alias that MLflow would.

    Raises:
        ValueError: and what one is.
    """
    if not NAMING.fullmatch(alias) or VERSION.fullmatch(alias):
        raise ValueError(
            f"--alias is {alias!r}; it must be a word of letters, digits, - and _ that begins with "
            "a letter, and neither latest nor a version such as v2"
        )


def named(store: Store, name: str, number: str, alias: str) -> Iterator[str]:
    """Give an alias to a version, and say what it was before."""
    before = aliases(store, name).get(alias)
    store.client.set_registered_model_alias(name, alias, number)
    was = f"; before it was version {before}" if before and before != number else ""
    again = ", as it was" if before == number else ""
    yield f"{name} version {number} is {alias}{again}{was}"
    yield f'In Python: tasks.registry.load("{name}", "{alias}").sample(16, seed=0)'


def opened(paths: Paths, new: bool = False) -> Store:
    """Open the project's MLflow.

    Args:
        new: make its database where there is none.

    Raises:
        ValueError: there is none, or it cannot be used.
    """
    place = paths.root / "mlflow.db"
    if not new and not place.is_file():
        raise ValueError(f"{place} is not there, so no model is promoted; `ebm promote` does that")
    check(paths.root)
    return Store(paths.root)


def trained(name: str, paths: Paths) -> Path:
    """Return the folder of an experiment's final model.

    Raises:
        ValueError: there is no such experiment, or it is not trained.
    """
    from tasks import settings

    experiment = pick(settings.read(paths.params).experiments, name, "experiment")
    folder = paths.model(name, experiment.final)
    if not all((folder / file).is_file() for file in FILES):
        raise ValueError(
            f"{name} is not trained yet; `ebm run {name}` trains it, and `dvc pull {folder}` "
            "brings it where a remote has it"
        )
    return folder


def digest_of(folder: Path) -> str:
    """Return the checksum of a model."""
    return together({file: sha256(folder / file) for file in FILES})


def versions(store: Store, name: str) -> list[Any]:
    """Return the versions of a registered model, the newest first."""
    found = store.client.search_model_versions(f"name = '{name}'")
    return sorted(found, key=lambda v: -int(v.version))


def aliases(store: Store, name: str) -> dict[str, str]:
    """Return the version of each alias of a registered model."""
    given = store.client.get_registered_model(name).aliases
    return {alias: str(version) for alias, version in given.items()}


def earlier(store: Store, name: str, number: str) -> str:
    """Return the number of a version, which must be there."""
    known = [str(v.version) for v in versions(store, name)]
    if number not in known:
        there = f"it has {', '.join(reversed(known))}" if known else "it has none"
        raise ValueError(f"{name} has no version {number}; {there}")
    return number


def registered(store: Store, name: str, digest: str) -> str | None:
    """Return the version that holds this very model, None where there is none."""
    for version in versions(store, name):
        if version.tags.get(DIGEST) == digest and files_of(store, version):
            return str(version.version)
    return None


def register(store: Store, name: str, folder: Path, digest: str, paths: Paths) -> str:
    """Register a trained model as a new version of its experiment's, and return its number."""
    from tasks.report.run import quietly_read  # it brings torch, which takes seconds

    facts = quietly_read(paths.results(name) / "run.json")
    record = quietly_read(paths.record("train", name, folder.name))
    run = training_run(store, record, digest) or logged(store, name, folder, paths)
    tags = {
        DIGEST: digest,
        "ebm.experiment": name,
        "ebm.part": folder.name,
        "git.commit": lineage.commit(paths.root),
        "dvc.lock.sha256": lineage.lock_sha256(paths.root),
        **{k: str(record[k]) for k in ("fingerprint", "verdict", "command") if record.get(k)},
    }
    if not strangers(facts, checksums(paths, name)):
        tags |= {row["metric"]: f"{row['value']:.6g}" for row in figures(paths, name)}
    return new_version(store, name, run, tags, str(facts.get("about") or ""))


def new_version(store: Store, name: str, run: Any, tags: dict[str, str], about: str = "") -> str:
    """Register the model that a run logged as a new version, and return its number."""
    model, client = run.outputs.model_outputs[-1].model_id, store.client
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name, description=about)
    with store.everywhere():
        made = client.create_model_version(
            name, f"models:/{model}", run.info.run_id, tags=tags, model_id=model
        )
    return str(made.version)


def figures(paths: Paths, name: str) -> list[dict[str, Any]]:
    """Return the figures of an experiment's samples."""
    from tasks.report.run import quietly_read

    return list(quietly_read(paths.results(name) / "metrics.json").get("metrics", []))


def training_run(store: Store, record: dict[str, Any], digest: str) -> Any:
    """Return the run that trained this very model and logged it, None where it is not known."""
    try:
        run = store.client.get_run(str(record["mlflow_run"]))
        outputs: Any = run.outputs
        for output in outputs.model_outputs:
            place = store.client.get_logged_model(output.model_id).artifact_location
            folder = model_folder(place)
            if folder is not None and digest_of(folder) == digest:
                return run
    except Exception:  # no such run any more; MLflow has its own errors, by the dozen
        return None
    return None


def logged(store: Store, name: str, folder: Path, paths: Paths) -> Any:
    """Log a model that no known run has logged, such as one that DVC brought; return its run."""
    from tasks import settings

    dataset = settings.read(paths.params).experiments[name].dataset
    manifest = paths.prepared(dataset) / "manifest.json"
    if not manifest.is_file():
        raise ValueError(
            f"{manifest} is not there, which says the shape of its inputs; `dvc pull "
            f"prepare@{dataset}` or `dvc repro prepare@{dataset}` brings it"
        )
    tags = {"git.commit": lineage.commit(paths.root), "ebm.command": f"ebm promote {name}"}
    run = store.open_run(f"{name} promoted", tags)
    store.model(run, folder, tuple(read_json(manifest)["shape"]))
    store.close_run(run, "FINISHED")
    return store.client.get_run(run)


def files_of(store: Store, version: Any) -> Path | None:
    """Return the model's folder that a version holds, None where it is gone."""
    place = store.client.get_model_version_download_uri(version.name, version.version)
    if str(place).startswith("models:/"):
        place = store.client.get_logged_model(place.removeprefix("models:/")).artifact_location
    return model_folder(place)


def model_folder(place: str) -> Path | None:
    """Return the one trained model's folder in a logged model's, None where there is none."""
    found = sorted(Path(unquote(urlparse(place).path)).glob("data/*/model.json"))
    return found[0].parent if len(found) == 1 else None
