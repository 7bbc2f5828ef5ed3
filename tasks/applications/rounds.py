"""rounds: pseudo-negatives from round to round, and how well each round still tells them."""

import numpy as np
import torch
from torch import Tensor

from ebm.learn.parts import at_rest
from ebm.samplers.noise import spawn
from tasks.applications.job import Job, Outcome
from tasks.applications.lines import draw_lines
from tasks.pictures import sheet
from tasks.scores import row

REVISION = 1

PROTOCOL = (
    "Rounds: fresh pseudo-negatives from q through all rounds, none of them learned from; accuracy "
    "is the mean of the shares of held-out images and of pseudo-negatives that a round tells."
)


def run(job: Job) -> Outcome:
    """Measure and picture the pseudo-negatives of every round."""
    settings = job.settings
    data = torch.from_numpy(job.test[: settings.images])
    states, told = follow(job, data)
    shown = torch.cat([each[: settings.shown] for each in states]).clamp(-1, 1)
    sheet(shown.numpy(), job.folder / "rounds.png", settings.shown, 1000)
    draw_lines(
        {"accuracy": np.array(told)},
        job.folder / "rounds_accuracy.png",
        ("round", "accuracy", "Rounds: data told from pseudo-negatives"),
        np.arange(1, len(told) + 1),
        logarithmic=False,
    )
    metrics = [
        row(
            f"rounds_accuracy_{which}",
            [told[place]],
            floor=0.5,
            ceiling=1.0,
            better="lower",
            samples=2 * len(data),
            about=f"Share of held-out images and fresh pseudo-negatives told by the {which} round; "
            "floor: they are alike.",
        )
        for which, place in (("first", 0), ("last", -1))
    ]
    return Outcome(PROTOCOL, metrics, [], ["rounds", "rounds_accuracy"])


def follow(job: Job, data: Tensor) -> tuple[list[Tensor], list[float]]:
    """Return the pseudo-negatives before each round and after the last, and its accuracies."""
    seeds = job.seeds(len(data))
    rounds = list(job.learner.rounds())
    x = rounds[0].first(spawn(seeds, 1))
    states, told = [x], []
    for number, each in enumerate(rounds, 2):
        job.tell((number - 2) / len(rounds), f"rounds, {number - 1}")
        with at_rest(each.f), torch.no_grad():
            right = (each.f(data) > 0).float().mean() + (each.f(x) <= 0).float().mean()
        told.append(float(right / 2))
        steps = each.settings.chain.sample_steps
        x, _ = each.climb(x, steps, seeds=spawn(seeds, number))
        states.append(x)
    return states, told
