"""An experiment's metrics against minutes of training: python -m benchmarks.over_time NAME.

Trains for some minutes, stops, measures the averaged networks as they are by the experiment's own
`sample` and `evaluate`, and goes on from the checkpoint, `--pieces` times. Called again, it goes on
where it stopped, and a run that is cut off loses the piece in hand alone. The stages before the
last one and the data must be there: `ebm run NAME --only ...`, or `dvc pull`.

It writes results/benchmarks/over_time/NAME.json and NAME.png. Minutes are those of training alone,
on the device that the file names.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from ebm.checkpoint import read
from ebm.run import Run
from ebm.stored import save
from tasks.artefacts import load_arrays, new_folder, read_json, write_json
from tasks.device import describe, pick_device
from tasks.inputs import inputs
from tasks.lineage import commit
from tasks.paths import Paths, label
from tasks.refusals import pick
from tasks.scratch import Scratch
from tasks.settings import Params
from tasks.settings import read as read_params
from tasks.train import Job, made

PROJECT = Path(__file__).parents[1]


def stage(root: Path, *arguments: str, seconds: float | None = None) -> bool:
    """Run a stage in a folder; tell whether it came to its end within the seconds.

    Raises:
        RuntimeError: it failed.
    """
    command = [sys.executable, "-m", "tasks", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    try:
        done = subprocess.run(command, cwd=root, env=environment, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:  # killed; its checkpoint stays
        return False
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed; what it said stands above")
    return True


def last_checkpoint(paths: Paths, name: str, part: str) -> Path:
    """Return where the run that was stopped stands.

    Raises:
        RuntimeError: there is no checkpoint yet.
    """
    home = paths.work / "scratch" / name / label("train", part)
    found = sorted(home.glob("*/checkpoint.pt"), key=lambda file: file.stat().st_mtime)
    if not found:
        raise RuntimeError(
            f"no checkpoint of {name} yet; give more --minutes, or lower "
            f"train.{part}.fit.checkpoint_every"
        )
    return found[-1]


def model_so_far(params: Params, name: str, part: str, checkpoint: Path, place: Path) -> int:
    """Write the model of a checkpoint, the averaged networks; return its iteration."""
    paths, asked = Paths(), inputs(params, "train", name, part)
    scratch = Scratch(paths, "train", name, part, "none")
    job = Job(name, part, asked, paths, scratch, None)
    learner = made(job, pick_device(asked.device))
    data = torch.from_numpy(load_arrays(paths.prepared(asked.dataset) / "train.npz")["x"])
    run = Run(learner, data, asked.train.fit, asked.seed)
    run.load_state_dict(read(checkpoint))
    with new_folder(place) as folder:
        save(folder, asked.learner, learner, run.average.module)
    return run.step


def measured(root: Path, name: str) -> dict[str, Any]:
    """Draw from the model in a folder and judge what was drawn; return the metrics by name."""
    stage(root, "sample", name)
    stage(root, "evaluate", name)
    rows = read_json(Paths(root).results(name) / "metrics.json")["metrics"]
    return {row["metric"]: {key: row.get(key) for key in ("value", "floor")} for row in rows}


def beside(paths: Paths, name: str) -> Path:
    """Return a folder with the project's data and settings, where unfinished models are judged."""
    root = paths.work / "over_time" / name
    root.mkdir(parents=True, exist_ok=True)
    for shared in ("data", "params.yaml"):
        link = root / shared
        link.unlink(missing_ok=True)
        link.symlink_to((paths.root / shared).resolve())
    return root


def draw(found: dict[str, Any], path: Path) -> None:
    """Picture each metric against minutes, its floor dashed."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    points = found["points"]
    metrics = list(points[-1]["metrics"])
    figure, axes = plt.subplots(
        1, len(metrics), figsize=(4 * len(metrics), 3.2), layout="constrained", squeeze=False
    )
    minutes = [point["minutes"] for point in points]
    for axis, metric in zip(axes[0], metrics, strict=True):
        axis.plot(minutes, [point["metrics"][metric]["value"] for point in points], "o-")
        floor = points[-1]["metrics"][metric]["floor"]
        if floor is not None:
            axis.axhline(floor, linestyle="--", color="0.4")
        axis.set(title=metric, xlabel="minutes of training")
    figure.suptitle(f"{found['experiment']}, {found['device_name']}")
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main(name: str, minutes: float, pieces: int) -> None:
    """Train by pieces and measure after each."""
    paths = Paths()
    params = read_params(paths.params)
    experiment = pick(params.experiments, name, "experiment")
    part, root = experiment.final, beside(paths, name)
    file = paths.results("benchmarks") / "over_time" / f"{name}.json"
    about = {"experiment": name, "commit": commit(paths.root), **describe(experiment.device)}
    found = read_json(file) if file.exists() else {**about, "points": []}
    for _ in range(pieces):
        begun = time.monotonic()
        finished = stage(paths.root, "train", name, part, seconds=60 * minutes)
        spent = (time.monotonic() - begun) / 60
        place, steps = Paths(root).model(name, part), experiment.train[part].fit.updates
        if finished:
            shutil.copytree(paths.model(name, part), place, dirs_exist_ok=True)
        else:
            steps = model_so_far(params, name, part, last_checkpoint(paths, name, part), place)
        before = found["points"][-1]["minutes"] if found["points"] else 0.0
        point = {"minutes": round(before + spent, 2), "iterations": steps}
        found["points"].append({**point, "metrics": measured(root, name)})
        write_json(file, found)
        draw(found, file.with_suffix(".png"))
        print(json.dumps(found["points"][-1]))
        if finished:
            break


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", metavar="NAME", help="an experiment of params.yaml")
    parser.add_argument("--minutes", type=float, default=9.0, help="of training, a piece")
    parser.add_argument("--pieces", type=int, default=1, help="how many of them")
    given = parser.parse_args()
    try:
        main(given.name, given.minutes, given.pieces)
    except (ValueError, RuntimeError) as error:
        sys.exit(f"over_time: {error}")
