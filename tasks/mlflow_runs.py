"""A run of MLflow, read back as one side of a comparison: its settings, figures, pictures."""

import math
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from tasks.mlflow_store import Store, check
from tasks.paths import Paths
from tasks.report.sides import Curves, Side

VERBS = ("train", "sample", "evaluate", "classify", "apply")
LISTED = 5000  # latest runs looked through for the beginning of an id
TITLE = re.compile(r"(\S+) (\w+)(?:-(\S+))?")  # NAME STAGE-PART, as a stage's run is called


def of_run(word: str, paths: Paths, folder: Path) -> Side:
    """Return the side of a run: of a flow with all its stages, or of one stage.

    Args:
        word: the run's id or its first characters; of a flow of several experiments RUN:NAME.
        folder: where the run's pictures and files of figures are put.

    Raises:
        ValueError: there is no such run, or it is of no experiment or of several.
    """
    mark, _, name = word.partition(":")
    store = opened(word, paths)
    run = find(store, mark)
    stages = [named for each in [run, *children(store, run)] if (named := stage_of(each))]
    name = chosen(word, name, [title[0] for title, _ in stages if title[1] in VERBS])
    data = next((t[0] for t, _ in stages if t[1] == "prepare"), None)
    results = folder / "results" / name
    settings: dict[str, str] = {}
    curves: Curves = {}
    notes = []
    for (owner, verb, part), each in stages:
        if owner not in (name, data) or verb == "fetch":
            continue
        settings |= renamed(each.data.params, verb, part)
        keep(each, results / ("samples" if verb == "sample" else verb), results)
        if verb == "train":
            curves[part] = history(store, each)
        if each.info.status != "FINISHED":
            notes.append(f"its stage {verb}{'-' * bool(part)}{part} is {each.info.status}")
    if not any(verb == "train" for (_, verb, _), _ in stages):
        notes.append("nothing was trained in this run, so it has no curves")
    tags = run.data.tags
    facts = {
        "command": tags.get("ebm.command"),
        "commit": tags.get("git.commit"),
        "device": settings.get("device"),
        "seconds": seconds(run),
        "data": tags.get("data.sha256"),
    }
    notes.insert(0, f"{mark} is the run {run.info.run_name!r} of MLflow, {run.info.run_id}")
    return Side(word, name, results, settings, curves, facts, {}, notes)


def opened(word: str, paths: Paths) -> Store:
    """Open the project's MLflow, to find a run in it.

    Raises:
        ValueError: there is none, or it cannot be used.
    """
    if not (paths.root / "mlflow.db").is_file():
        raise ValueError(f"{word}: there is no mlflow.db here, so there are no runs")
    check(paths.root)
    return Store(paths.root)


def find(store: Store, mark: str) -> Any:
    """Return the run whose id begins with these characters."""
    runs = store.client.search_runs([store.experiment], max_results=LISTED)
    found = [run for run in runs if run.info.run_id.startswith(mark)]
    if len(found) == 1:
        return found[0]
    latest = [run for run in found or runs if "mlflow.parentRunId" not in run.data.tags][:5]
    listed = ", ".join(f"{r.info.run_id[:10]} ({r.info.run_name})" for r in latest)
    what = "several runs begin" if found else "no run of mlflow.db begins"
    raise ValueError(f"{what} with {mark}; the latest are {listed or 'none'}")


def children(store: Store, run: Any) -> list[Any]:
    """Return the runs of a flow's stages, in the order in which they began."""
    query = f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
    order = ["attributes.start_time ASC"]
    return list(store.client.search_runs([store.experiment], query, order_by=order))


def stage_of(run: Any) -> tuple[tuple[str, str, str], Any] | None:
    """Return a stage's owner, verb and part with its run; None of a flow's run."""
    found = TITLE.fullmatch(run.info.run_name or "")
    if "mlflow.parentRunId" not in run.data.tags or not found:
        return None
    return (found[1], found[2], found[3] or ""), run


def chosen(word: str, name: str, names: Iterable[str]) -> str:
    """Return the one experiment that is compared."""
    there = sorted(set(names))
    if name in there or (not name and len(there) == 1):
        return name or there[0]
    if not there:
        raise ValueError(f"{word} is a run without a stage of an experiment: nothing was trained")
    mark = word.partition(":")[0]
    raise ValueError(f"{word} is a run of {', '.join(there)}; name one, as {mark}:{there[0]}")


def renamed(params: Mapping[str, str], verb: str, part: str) -> dict[str, str]:
    """Return a stage's settings under the keys that they have in an experiment.

    >>> renamed({"train.fit.updates": "9", "seed": "0"}, "train", "joint")
    {'train.joint.fit.updates': '9', 'seed': '0'}
    >>> renamed({"dataset.seed": "7"}, "prepare", "")
    {'data.seed': '7'}
    """
    swap = {"train": ("train.", f"train.{part}."), "prepare": ("dataset.", "data.")}
    old, new = swap.get(verb, ("", ""))
    return {new + k[len(old) :] if old and k.startswith(old) else k: v for k, v in params.items()}


def keep(run: Any, pictures: Path, figures: Path) -> None:
    """Copy a run's pictures and files of figures to where a report looks for them."""
    root = urlparse(run.info.artifact_uri)
    for folder, target in (("pictures", pictures), ("metrics", figures)):
        for file in sorted(Path(unquote(root.path), folder).glob("*")):
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target / file.name)


def history(store: Store, run: Any) -> dict[str, list[float]]:
    """Return a training stage's figures by iteration, as curves."""
    points_of, mark = store.client.get_metric_history, run.info.run_id
    told = {key: {p.step: p.value for p in points_of(mark, key)} for key in run.data.metrics}
    steps = sorted({step for points in told.values() for step in points})
    columns = {key: [points.get(s, math.nan) for s in steps] for key, points in told.items()}
    return {"step": [float(step) for step in steps], **columns}


def seconds(run: Any) -> float | None:
    """Return how long a run took."""
    ended = run.info.end_time
    return (ended - run.info.start_time) / 1000 if ended else None
