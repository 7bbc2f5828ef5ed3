"""conditional_chains: do chains that recover x_t from x_{t+1} stay like the data when run long?"""

import numpy as np
import torch
from torch import Tensor

from ebm.apply.long_chains import Look, look, word
from tasks.applications.job import Job, Outcome, Rows
from tasks.pictures import sheet
from tasks.scores import beside, row

REVISION = 1

SIDE = 1000  # pixels of the picture's side, about
SHOWN = 8  # images pictured
PROTOCOL = (
    "Conditional chains: test images are made noisy to x_{t+1}, and x_t is recovered by K, by some "
    "and by many steps, at every level t. Steady means what it means of long chains, held against "
    "the x_t that x_{t+1} was made of."
)


def run(job: Job) -> Outcome:
    """Run the chains of every level, and judge and picture where they are at the marks."""
    learner, settings = job.learner, job.settings
    steps = learner.settings.chain.steps
    marks = [steps, max(steps + 1, round(steps * settings.times**0.5)), settings.times * steps]
    x, seeds = torch.from_numpy(job.test[: settings.chains]), job.seeds(settings.chains)
    looks: dict[str, list[tuple[Look, Look]]] = {"k": [], "long": []}
    lines: list[Tensor] = []
    for level in range(learner.levels):
        x_t, start = learner.noisy(x, level, seeds)
        states = learner.recover(start, level, seeds, marks)
        real = look(x_t.cpu().numpy(), job.train, len(x))
        for end, state in (("k", states[0]), ("long", states[-1])):
            looks[end].append((look(state.cpu().numpy(), job.train, len(x)), real))
        lines += [each[:SHOWN].cpu() for each in (start, *states)]
        job.tell((level + 1) / learner.levels, f"conditional chains, level {level}")
    shown = torch.cat(lines).clamp(-1, 1).numpy()
    sheet(shown, job.folder / "conditional_chains.png", min(SHOWN, len(x)), SIDE)
    return Outcome(PROTOCOL, *rows(looks, marks, len(x)), ["conditional_chains"])


def rows(
    looks: dict[str, list[tuple[Look, Look]]], marks: list[int], count: int
) -> tuple[Rows, Rows]:
    """Return the share of levels that are steady and the contrast, after K and after many steps."""
    metrics, compared = [], []
    for end, steps in (("k", marks[0]), ("long", marks[-1])):
        words = [word(states, real) for states, real in looks[end]]
        ratios = [states.contrast / real.contrast for states, real in looks[end]]
        metrics += [
            row(
                f"conditional_chains_steady_{end}",
                [float(np.mean([each == "steady" for each in words]))],
                floor=0.0,
                ceiling=1.0,
                better="higher",
                samples=count,
                about=f"Share of the levels at which chains of {steps} steps stay like the data; "
                f"from the least noisy level on: {', '.join(words)}.",
            ),
            row(
                f"conditional_chains_contrast_{end}",
                [float(np.mean(ratios))],
                floor=0.0,
                ceiling=1.0,
                better="higher",
                samples=count,
                about=f"Standard deviation of all pixels after {steps} steps over that of x_t, "
                "mean over levels; 1 is right, more is too much.",
            ),
        ]
        metric = f"conditional_chains_contrast_{end}"
        compared += [beside(metric, f"level {t}", ratio) for t, ratio in enumerate(ratios)]
    return metrics, compared
