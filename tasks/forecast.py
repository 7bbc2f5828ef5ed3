"""forecast: where those in a file of positions walk on, by a trained model."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ebm.datasets.positions import Positions, read
from ebm.learn.crowd import Crowd
from ebm.model import Model
from ebm.samplers.noise import seed_range
from tasks.artefacts import read_json, write_text
from tasks.paths import Paths
from tasks.refusals import pick
from tasks.settings import read as read_settings
from tasks.trajectories_settings import TrajectoriesSettings
from tasks.trajectory_pictures import Fan, draw_fans

FAST = 2.0  # times the fastest step of training beyond which positions are in other units
SLOW = 0.05  # of the median step of training below which they may be
COLUMNS = 4  # fans in a row
SHOWN = 12  # agents pictured, at most


class Walkers(NamedTuple):
    """Those who are seen in the last frames of a file.

    Attributes:
        agents: (N,), their numbers.
        past: (N, S, 2).
        frame: the last one.
        step: from a frame to the next.
        left_out: sentences on those who are not seen for long enough.
    """

    agents: np.ndarray
    past: np.ndarray
    frame: int
    step: int
    left_out: list[str]


class About(NamedTuple):
    """The unit of the training data, and how much wider than learned the fans are."""

    unit: str
    widen: float


def forecast(
    model: Model, file: Path, name: str, path: Path, *, count: int, seed: int, about: About
) -> Iterator[str]:
    """Write PATH.csv, `agent,prediction,frame,x,y`, and the picture PATH.png of the fans.

    Args:
        model: of the learner latent_belief.
        file: of lines `frame agent x y`.
        name: the file's, as the user gave it.
        path: ends with .png.
        count: K, predictions of each agent.
        seed: of the predictions.
        about: what the experiment says of its forecasts.

    Yields:
        What the user should know, a sentence each.

    Raises:
        ValueError: the file is wrong, or nobody is left.
    """
    learner = model.learner
    walkers = walkers_in(read(file), learner.seen, name)
    check_units(walkers, learner.steps.tolist(), name, about.unit)
    past = torch.from_numpy(walkers.past)
    together = torch.zeros(len(past))
    made = learner.forecast(
        past,
        seed_range(seed, len(past)),
        count=count,
        windows=together,
        crowd=Crowd(past, together),
        widen=about.widen,
    )[-1]
    ways = made.way.numpy()
    write_text(path.with_suffix(".csv"), table(walkers, ways))
    picture(walkers, ways, path)
    yield from walkers.left_out
    if len(past) == 1:
        yield f"agent {walkers.agents[0]} is alone: nobody beside it could be looked at"
    if median_step(walkers.past) < SLOW * float(learner.steps[0]):
        yield (
            f"all stand almost still, by the training data in {about.unit}; if they walk, "
            "positions are in other units"
        )


def about(name: str, paths: Paths) -> About:
    """Return what an experiment says of its forecasts.

    Raises:
        ValueError: it has none.
    """
    experiment = pick(read_settings(paths.params).experiments, name, "experiment")
    if not isinstance(experiment.evaluate, TrajectoriesSettings):
        raise ValueError(f"{name} forecasts no trajectories; an experiment of latent_belief does")
    manifest = paths.prepared(experiment.dataset) / "manifest.json"
    notes = read_json(manifest).get("notes", {}) if manifest.is_file() else {}
    unit = str(notes.get("unit", "the units of the training data"))
    return About(unit, experiment.evaluate.widen)


def walkers_in(positions: Positions, seen: int, name: str) -> Walkers:
    """Return who is seen in the last `seen` frames up to the last one of all.

    Raises:
        ValueError: one of them has a gap there, or nobody is seen for long enough.
    """
    last = int(positions.frame.max())
    found, left_out = {}, []
    parts = {int(a): np.flatnonzero(positions.agent == a) for a in np.unique(positions.agent)}
    steps = np.concatenate([np.diff(positions.frame[rows]) for rows in parts.values()])
    step = int(np.bincount(steps).argmax()) if len(steps) else 0  # the usual one
    for agent, whole in parts.items():
        rows = whole[-seen:]
        frames, lines = positions.frame[rows], positions.line[rows]
        gaps = np.flatnonzero(np.diff(frames) != step)
        if len(gaps) and frames[-1] == last:
            at = gaps[0] + 1
            raise ValueError(
                f"{name}, line {lines[at]}: agent {agent} is in frame {frames[at]} and before that "
                f"in frame {frames[at - 1]} (line {lines[at - 1]}); from frame to frame it must be "
                f"{step}: fill the gap"
            )
        if frames[-1] == last and len(rows) == seen:
            found[agent] = positions.at[rows]
        else:
            why = (
                f"is last seen in frame {frames[-1]}, and the last frame is {last}"
                if frames[-1] != last
                else f"is seen in {len(rows)} frames; it takes {seen}"
            )
            left_out.append(f"left out: {name}, line {lines[-1]}: agent {agent} {why}")
    if not found:
        raise ValueError(f"{name} has nobody to forecast: {left_out[0].removeprefix('left out: ')}")
    past = np.stack(list(found.values())).astype(np.float32)
    return Walkers(np.array(list(found)), past, last, step, left_out)


def check_units(walkers: Walkers, steps: list[float], name: str, unit: str) -> None:
    """Refuse positions that jump farther in a frame than anybody in the training data.

    Args:
        walkers: who is seen.
        steps: the median step of the training data, and the fastest.
        name: of the file.
        unit: of the training data.

    Raises:
        ValueError: naming the agent, its step, and the unit that is right.
    """
    far = np.linalg.norm(np.diff(walkers.past, axis=1), axis=2)
    row, at = np.unravel_index(far.argmax(), far.shape)
    if far[row, at] > FAST * steps[1]:
        frame = walkers.frame - (far.shape[1] - 1 - int(at)) * walkers.step
        raise ValueError(
            f"{name}: agent {walkers.agents[row]} moves {far[row, at]:.4g} up to frame {frame}; "
            f"in the training data a step is {steps[0]:.3g} {unit}, and hardly ever above "
            f"{steps[1]:.3g}: give positions in {unit}, {walkers.step} frames apart as there"
        )


def median_step(past: np.ndarray) -> float:
    """Return the median distance between neighbouring frames."""
    return float(np.median(np.linalg.norm(np.diff(past, axis=1), axis=2)))


def table(walkers: Walkers, ways: np.ndarray) -> str:
    """Return the predictions (N, K, T, 2) as lines `agent,prediction,frame,x,y`."""
    lines = ["agent,prediction,frame,x,y"]
    for agent, of_agent in zip(walkers.agents, ways, strict=True):
        for number, way in enumerate(of_agent, 1):
            for ahead, (x, y) in enumerate(way, 1):
                frame = walkers.frame + ahead * walkers.step
                lines.append(f"{agent},{number},{frame},{x:.6g},{y:.6g}")
    return "\n".join(lines) + "\n"


def picture(walkers: Walkers, ways: np.ndarray, path: Path) -> None:
    """Draw the fans, whole or not at all."""
    fans = [
        Fan(past, None, way, np.delete(walkers.past, number, 0))
        for number, (past, way) in enumerate(zip(walkers.past, ways, strict=True))
    ][:SHOWN]
    titles = [f"agent {agent}" for agent in walkers.agents[:SHOWN]]
    temporary = path.with_name(f".{path.stem}.part.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        draw_fans(fans, titles, walkers.past, temporary, columns=min(COLUMNS, len(fans)))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
