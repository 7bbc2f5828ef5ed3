"""sample, of trajectories: predict where every held-out agent walks, several times each.

samples/NAME/samples.npz holds, by PART and MODEL, `PART.MODEL.way`, (draws, N, K, T, 2), and
`PART.MODEL.plan`, (draws, N, K, P, 2), float32, in the data's units, agents in the order of
data/prepared/DATASET/PART.npz; PART.gaussian is by the final model, as if its energy were 0.
`frames`, (P,), are the frames ahead that a plan names, counted from 1.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ebm.learn.crowd import Crowd
from ebm.learn.latent_belief import Forecast
from ebm.model import load
from ebm.samplers.noise import seed_range
from tasks.artefacts import load_arrays, new_folder, save_arrays
from tasks.device import pick_device
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.temperatures import temperatures
from tasks.trajectories_settings import GAUSSIAN, SampleTrajectoriesInputs
from tasks.trajectory_pictures import Fan, draw_fans, interesting

REVISION = 1

BATCH = 400  # agents that are forecast at once; they depend on it to rounding alone

Arrays = dict[str, np.ndarray]


def run(
    name: str, part: None, inputs: SampleTrajectoriesInputs, paths: Paths, monitor: Monitor
) -> None:
    """Write samples/NAME/samples.npz and the picture of chains in results/NAME/samples."""
    asked, device, found = inputs.evaluate, pick_device(inputs.device), {}
    jobs = [(held, model) for held in asked.parts for model in asked.models]
    jobs.append((asked.against, GAUSSIAN))
    for done, (held, model) in enumerate(jobs):
        which = inputs.final if model == GAUSSIAN else model
        learner = load(paths.model(name, which), device).learner
        data = load_arrays(paths.prepared(inputs.dataset) / f"{held}.npz")
        draws = [
            forecasts(learner, data, inputs, draw, energy=model != GAUSSIAN)
            for draw in range(inputs.sample.draws)
        ]
        for key in draws[0]:
            found[f"{held}.{model}.{key}"] = np.stack([each[key] for each in draws])
        monitor.progress(done + 1, len(jobs), f"{model}, {held}")
    learner = load(paths.model(name, inputs.final), device).learner
    found["frames"] = np.array(learner.settings.forecast.plan)
    with new_folder(paths.samples(name)) as folder:
        save_arrays(folder / "samples.npz", **found)
    data = load_arrays(paths.prepared(inputs.dataset) / f"{asked.against}.npz")
    with new_folder(paths.results(name) / "samples") as folder:
        picture(learner, data, inputs, folder / "chains.png")
    monitor.note(temperature=temperatures(learner.settings))
    monitor.note(pictures=[str(paths.results(name) / "samples" / "chains.png")])


def forecasts(
    learner: Any, data: Arrays, inputs: SampleTrajectoriesInputs, draw: int, *, energy: bool
) -> Arrays:
    """Return the ways, (N, K, T, 2), and the plans, (N, K, P, 2), of all agents in a draw."""
    crowd, ways, plans = everybody(learner, data), [], []
    for first in range(0, len(data["x"]), BATCH):
        rows = slice(first, min(first + BATCH, len(data["x"])))
        seeds = seed_range(inputs.seed, rows.stop - first, draw * len(data["x"]) + first)
        one = predict(learner, data, rows, seeds, crowd, count=inputs.sample.count, energy=energy)
        ways.append(one[-1].way.cpu().numpy())
        plans.append(one[-1].plan.cpu().numpy())
    return {"way": np.concatenate(ways), "plan": np.concatenate(plans)}


def everybody(learner: Any, data: Arrays) -> Crowd:
    """Return all who are seen, by window."""
    past = torch.from_numpy(data["x"][:, : learner.seen]).to(learner.device)
    return Crowd(past, torch.from_numpy(data["y"]).to(learner.device))


def predict(
    learner: Any, data: Arrays, rows: Any, seeds: list[int], crowd: Crowd, **options: Any
) -> list[Forecast]:
    """Return the forecasts of some agents, each by its seed."""
    past = torch.from_numpy(data["x"][rows, : learner.seen])
    windows = torch.from_numpy(data["y"][rows]).to(learner.device)
    made: list[Forecast] = learner.forecast(past, seeds, windows=windows, crowd=crowd, **options)
    return made


def picture(learner: Any, data: Arrays, inputs: SampleTrajectoriesInputs, path: Path) -> None:
    """Draw the predictions for some agents at the kept states of the chains of their beliefs."""
    rows = interesting(data["x"], learner.seen, min(inputs.sample.shown, 3))
    seeds = seed_range(inputs.seed, len(data["x"]))
    keep, shown = inputs.sample.keep, [seeds[row] for row in rows]
    states = predict(
        learner, data, rows, shown, everybody(learner, data), count=inputs.sample.count, keep=keep
    )
    fans = [
        Fan(data["x"][row, : learner.seen], data["x"][row, learner.seen :], state.way[i].numpy())
        for i, row in enumerate(rows)
        for state in states
    ]
    titles = ["Gaussian prior" if not n else f"after {n * keep} steps" for n in range(len(states))]
    draw_fans(fans, titles * len(rows), data["x"], path, columns=len(states))
