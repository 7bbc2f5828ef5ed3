"""Writes results/index.html: every system's figures side by side, and a gallery; one file."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image, ImageOps

from tasks.artefacts import read_json, write_text
from tasks.experiment_settings import Experiment
from tasks.measured import FILES
from tasks.paths import Paths
from tasks.report import figures, pictures
from tasks.report.goals import met
from tasks.report.page import HERE, environment
from tasks.report.run import machine
from tasks.report.systems import SYSTEMS
from tasks.settings import Params

THUMB = 176  # pixels of a thumbnail's side
HEAVY = 9_000  # bytes of a thumbnail, about
FIRST = ("samples", "apply", "evaluate")  # folders looked through for a picture, in this order
SHOWN = 3  # figures of an experiment that names no goal


def render(paths: Paths, params: Params) -> Path:
    """Write the page from whatever results there are, and return its path."""
    by_system = sorted(params.experiments.items(), key=lambda item: item[1].systems)
    found = {n: e for n, e in by_system if read(paths, n, "run.json")}
    content = {
        "style": Markup((HERE / "style.css").read_text()),
        "script": Markup((HERE / "leaderboard.js").read_text()),
        "rows": [row for n, e in found.items() for row in rows(paths, n, e)],
        "gallery": [card for n, e in found.items() if (card := thumbnail(paths, n, e))],
        "absent": [absent(n, e) for n, e in by_system if n not in found],
        "systems": covered(params.experiments, found),
        "experiments": len(found),
    }
    target = paths.root / "results" / "index.html"
    write_text(target, environment().get_template("leaderboard.html").render(content))
    return target


def covered(declared: Mapping[str, Experiment], found: Iterable[str]) -> list[dict[str, Any]]:
    """Return the tutorial's systems, each with its experiments: all of them, and those run."""
    ran = set(found)
    lines = []
    for system, title in SYSTEMS.items():
        names = [name for name, e in declared.items() if system in e.systems]
        done = [name for name in names if name in ran]
        lines.append({"system": system, "title": title, "experiments": names, "done": done})
    return lines


def read(paths: Paths, name: str, file: str) -> dict[str, Any]:
    """Return a file of an experiment's results, empty where there is none."""
    path = paths.results(name) / file
    return read_json(path) if path.exists() else {}


def rows(paths: Paths, name: str, experiment: Experiment) -> list[dict[str, Any]]:
    """Return the lines of an experiment: the figures with a goal, else its first ones."""
    run = read(paths, name, "run.json")
    goals = {metric: goal.model_dump() for metric, goal in experiment.goals.items()}
    contents = [read(paths, name, file) for file in FILES]
    every = [row for content in contents for row in figures.table(content, goals)]
    chosen = [row for row in every if row["metric"] in goals] or every[:SHOWN]
    facts = {
        "experiment": name,
        "systems": experiment.systems,
        "titles": [SYSTEMS[s] for s in experiment.systems if s in SYSTEMS],
        **command(name, run),
        "device": run.get("device") or machine(run.get("stages") or [])["device"],
        "minutes": round((run.get("seconds") or 0) / 60, 1),
        "commit": str(run.get("commit", ""))[:10],
    }
    return [{**facts, **row, "met": met(row)} for row in chosen]


def command(name: str, run: Mapping[str, Any]) -> dict[str, Any]:
    """Return what runs an experiment, and the command of its results where it is another.

    >>> command("digits", {"command": "ebm suite fast"})
    {'command': 'ebm run digits', 'recorded': 'ebm suite fast'}
    """
    plain, recorded = f"ebm run {name}", run.get("command")
    return {"command": plain, "recorded": recorded if recorded != plain else None}


def thumbnail(paths: Paths, name: str, experiment: Experiment) -> dict[str, Any] | None:
    """Return a small picture of an experiment: its finest samples, else another of its pictures."""
    found = [finest(paths.results(name) / folder) for folder in FIRST]
    file = next((each for each in found if each), None)
    if file is None:
        return None
    with Image.open(file) as image:
        small = ImageOps.fit(image.convert("RGB"), (THUMB, THUMB), centering=(0, 0))
    packed = pictures.packed(np.asarray(small), HEAVY)
    ran = command(name, read(paths, name, "run.json"))
    facts = {"experiment": name, "about": experiment.about, "systems": experiment.systems}
    return {**packed, **facts, **ran}


def finest(folder: Path) -> Path | None:
    """Return the picture of a folder whose name is the last, by length first: grid_16 of grid_8."""
    found = sorted(folder.glob("*.png"), key=lambda file: (len(file.stem), file.stem))
    return found[-1] if found else None


def absent(name: str, experiment: Experiment) -> dict[str, Any]:
    """Say why an experiment has no results."""
    why = "it needs a GPU" if experiment.device == "gpu" else "it has not been run"
    if experiment.dataset == "folder":
        why = "it waits for your own pictures"
    return {"experiment": name, "systems": experiment.systems, "why": why}
