"""sample, of trajectories: predict where every held-out agent walks, several times each.

samples/NAME/samples.npz holds, by PART and MODEL, `PART.MODEL.way`, (draws, N, K, T, 2), and
`PART.MODEL.plan`, (draws, N, K, P, 2), float32, in the data's units, agents in the order of
data/prepared/DATASET/PART.npz. In the place of MODEL, `gaussian` is by the final model, as if its
energy were 0, and `spread` by it, those of `evaluate.candidates` forecasts that lie apart.
`frames`, (P,), are the frames ahead that a plan names, counted from 1.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ebm.apply.spread import spread
from ebm.learn.crowd import Crowd
from ebm.learn.latent_belief import Forecast
from ebm.samplers.noise import seed_range
from ebm.stored import load
from tasks.artefacts import load_arrays, new_folder, save_arrays
from tasks.device import pick_device
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.temperatures import temperatures
from tasks.trajectories_settings import GAUSSIAN, SPREAD, SampleTrajectoriesInputs
from tasks.trajectory_pictures import Fan, draw_fans, interesting

REVISION = 1

BATCH = 8000  # forecasts made at once; they depend on it to rounding alone

Arrays = dict[str, np.ndarray]


def run(
    name: str, part: None, inputs: SampleTrajectoriesInputs, paths: Paths, monitor: Monitor
) -> None:
    """Write samples/NAME/samples.npz and the picture of chains in results/NAME/samples."""
    asked, device = inputs.evaluate, pick_device(inputs.device)
    jobs = [(held, model) for held in asked.parts for model in asked.models]
    jobs += [(asked.against, GAUSSIAN), (asked.against, SPREAD)]
    found: Arrays = {}
    for done, (held, way) in enumerate(jobs):
        model = inputs.final if way in (GAUSSIAN, SPREAD) else way
        learner = load(paths.model(name, model), device).learner
        data = load_arrays(paths.prepared(inputs.dataset) / f"{held}.npz")
        draws = [forecasts(learner, data, inputs, way, n) for n in range(inputs.sample.draws)]
        for key in draws[0]:
            found[f"{held}.{way}.{key}"] = np.stack([each[key] for each in draws])
        monitor.progress(done + 1, len(jobs), f"{way}, {held}")
    found["frames"] = np.array(learner.settings.forecast.plan)
    with new_folder(paths.samples(name)) as folder:
        save_arrays(folder / "samples.npz", **found)
    with new_folder(paths.results(name) / "samples") as folder:
        picture(learner, data, inputs, folder / "chains.png")
    monitor.note(temperature=temperatures(learner.settings))
    monitor.note(pictures=[str(paths.results(name) / "samples" / "chains.png")])


def forecasts(
    learner: Any, data: Arrays, inputs: SampleTrajectoriesInputs, how: str, draw: int
) -> Arrays:
    """Return the ways, (N, K, T, 2), and the plans, (N, K, P, 2), of all agents in a draw."""
    crowd, ways, plans, total = everybody(learner, data), [], [], len(data["x"])
    count = inputs.evaluate.candidates if how == SPREAD else inputs.sample.count
    batch = max(1, BATCH // count)
    for first in range(0, total, batch):
        rows = slice(first, min(first + batch, total))
        seeds = seed_range(inputs.seed, rows.stop - first, draw * total + first)
        options = {"count": count, "energy": how != GAUSSIAN, "widen": inputs.evaluate.widen}
        one = predict(learner, data, rows, seeds, crowd, **options)[-1]
        way, plan = one.way, one.plan
        if how == SPREAD:
            kept = spread(plan.flatten(2), inputs.sample.count)
            agent = torch.arange(len(kept), device=kept.device)[:, None]
            way, plan = way[agent, kept], plan[agent, kept]
        ways.append(way.cpu().numpy())
        plans.append(plan.cpu().numpy())
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
    options = {"count": inputs.sample.count, "widen": inputs.evaluate.widen, "keep": keep}
    states = predict(learner, data, rows, shown, everybody(learner, data), **options)
    fans = [
        Fan(
            data["x"][row, : learner.seen],
            data["x"][row, learner.seen :],
            state.way[i].cpu().numpy(),
        )
        for i, row in enumerate(rows)
        for state in states
    ]
    titles = ["Gaussian prior" if not n else f"after {n * keep} steps" for n in range(len(states))]
    draw_fans(fans, titles * len(rows), data["x"], path, columns=len(states))
