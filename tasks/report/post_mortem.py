"""The page of a training stage that diverged: .work/broken/NAME/PART/post-mortem.html.

python -m tasks.report.post_mortem NAME PART [ROOT]    draw it from what the stage left
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from tasks.artefacts import load_arrays, read_json, write_text
from tasks.broken import PAGE
from tasks.params_file import read_yaml
from tasks.paths import Paths
from tasks.pictures import sheet
from tasks.point_pictures import draw_samples
from tasks.report import pictures
from tasks.report.curves import panels, read_curves
from tasks.report.page import HERE, environment

COLUMNS = 5
STEPS = ("step_size", "step_scale")  # of chains; learners name it by what it is in units of
SLOWER = {"chain": (STEPS, 0.25), "gap": (("rate",), 0.5), "parameter": (("rate",), 0.5)}
TITLES = {
    "good_chains": "Persistent chains at the last good state",
    "broken_chains": "Persistent chains at the break",
    "good": "Samples at the last good state",
    "broken": "Samples at the break",
}


def render(name: str, part: str, paths: Paths) -> Path:
    """Write the page and return its path.

    Raises:
        ValueError: what the stage left is damaged.
        OSError: it left nothing, or the page cannot be written.
    """
    folder = paths.work / "broken" / name / part
    facts = read_json(folder / "facts.json")
    content = {
        "facts": facts,
        "style": Markup((HERE / "style.css").read_text()),
        "script": Markup((HERE / "script.js").read_text()),
        "stage": stage(facts, read_curves(folder.with_name(f"{part}.csv"))),
        "sheets": list(sheets(load_arrays(folder / "pictures.npz"))),
        "changes": list(changes(facts, written(name, part, paths))),
    }
    page = folder / PAGE
    write_text(page, environment().get_template("post_mortem.html").render(content))
    return page


def stage(facts: dict[str, Any], curves: dict[str, list[float]]) -> dict[str, Any]:
    """Return what is drawn: the curves, and of the rollbacks those that they still reach."""
    last, rollbacks = curves["step"][-1], facts["events"][:-1]  # the last event is the break
    return {**panels(curves), "events": [e for e in rollbacks if e["step"] <= last]}


def sheets(arrays: dict[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    """Yield the pictures, the good ones first, each with its title."""
    for key, title in TITLES.items():
        if key in arrays:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "sheet.png"
                yield {**picture(arrays[key], file), "title": title}


def picture(x: np.ndarray, file: Path) -> dict[str, Any]:
    """Draw images (N, C, H, W) or points (N, 2) into a file, and return it to be embedded."""
    if x.ndim == 2:
        draw_samples(x, file)
        return pictures.embed(file)
    sheet(x, file, columns=COLUMNS)
    return pictures.embed(file, x.shape[-1])


def written(name: str, part: str, paths: Paths) -> str:
    """Return the stage whose settings a stage has: itself, or the one that it is `like`."""
    try:
        stage = read_yaml(paths.params)["experiments"][name]["train"][part]
    except (ValueError, KeyError, TypeError):  # params.yaml is another since
        return part
    return str(stage.get("like", part))


def changes(facts: dict[str, Any], part: str) -> Iterator[str]:
    """Yield the commands to begin again with, what is to be changed with a first value.

    Args:
        facts: what the stage left.
        part: the stage in which params.yaml has its settings.
    """
    name, settings = facts["experiment"], facts["settings"]
    if facts["cause"] == "data":
        yield f"python -m tasks prepare {settings['dataset']}"
        yield f"ebm run {name}"
        return
    keys, factor = SLOWER[facts["cause"]]
    every = leaves(settings["train"]["model"], f"train.{part}.model")
    found = [(k, v) for k, v in every if k.rpartition(".")[2] in keys]
    new = " ".join(f"--set {k}={v * factor:.3g}" for k, v in found)
    yield " ".join(filter(None, ["ebm run", name, new]))


def leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield every setting by its dotted key, items of lists by their number."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from leaves(item, f"{name}.{key}")
    else:
        yield name, value


if __name__ == "__main__":
    experiment, training_stage, *root = sys.argv[1:]
    print(render(experiment, training_stage, Paths(Path(*root))))
