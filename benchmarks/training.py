"""What an iteration of learning costs beyond its chain and its gradient.

An iteration is that of `ebm.fit`, the judge's look and the averaged parameters included. The parts
are the Langevin steps from the same kind of start, and f on data and samples with its gradient. The
settings are those of an experiment in params.yaml; the data are noise, which costs the same.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.contenders import wait
from benchmarks.workloads import Work
from ebm.energy import contrast
from ebm.learn.maximum_likelihood import MaximumLikelihood
from ebm.learner import FitSettings
from ebm.run import Run

EXPERIMENT = "chains-mnist-shortrun"
ROOT = Path(__file__).parents[1]
WARM = 3  # turns that are not counted


def settings() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the learner's and the loop's settings of the experiment."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    stage = params["experiments"][EXPERIMENT]["train"]["learn"]
    return stage["model"], stage["fit"]


def measure(turns: int, device: str, steps: int | None = None) -> dict[str, Any]:
    """Return the times of an iteration and of its parts, taken in turns, and their ratio.

    Args:
        turns: of each.
        device: cpu or cuda.
        steps: K, in place of the experiment's.
    """
    model, fit = settings()
    if steps is not None:
        model["chain"]["steps"] = steps
    torch.manual_seed(0)
    learner = MaximumLikelihood(MaximumLikelihood.Settings.model_validate(model), device=device)
    loop = FitSettings.model_validate(fit)
    data = torch.rand(4 * loop.batch, *learner.shape) * 2 - 1
    run = Run(learner, data, loop, seed=0)  # type: ignore[arg-type]

    def iteration() -> None:
        run.iterate()
        if run.step % loop.check_every == 0:
            run.judge()

    def parts() -> None:
        batch = run.data[: loop.batch]
        x, _ = learner.synthesise(torch.rand_like(batch) * 2 - 1)
        f_data, f_samples = learner.f(torch.cat([batch, x])).split(loop.batch)
        contrast(f_data, f_samples, learner.settings.decay).backward()
        learner.f.zero_grad()

    seconds = in_turns({"iteration": iteration, "parts": parts}, turns, run.data)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "experiment": EXPERIMENT,
        "steps": learner.settings.chain.steps,
        "batch": loop.batch,
        **{f"ms_{name}": 1000 * value for name, value in medians.items()},
        "overhead": medians["iteration"] / medians["parts"] - 1,
    }


def in_turns(
    timed: dict[str, Callable[[], None]], turns: int, x: torch.Tensor
) -> dict[str, list[float]]:
    """Return the seconds of each, the warm turns left out."""
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    idle = Work(torch.nn.Identity(), x, 0, torch.Generator())
    for turn in range(turns + WARM):
        for name, call in timed.items():
            wait(idle)
            begun = time.perf_counter()
            call()
            wait(idle)
            if turn >= WARM:
                seconds[name].append(time.perf_counter() - begun)
    return seconds
