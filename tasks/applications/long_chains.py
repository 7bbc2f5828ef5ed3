"""long_chains: run chains much longer than in learning, from noise and from data; judge them."""

from typing import NamedTuple

import numpy as np
import torch

from ebm.apply.chain import Chain, decades
from ebm.apply.long_chains import FAINT, LOUD, Look, look, verdict, word
from ebm.samplers.noise import spawn
from tasks.applications.job import Job, Outcome, Rows
from tasks.applications.lines import draw_lines
from tasks.pictures import sheet
from tasks.scores import beside, row

REVISION = 1

SIDE = 1000  # pixels of a picture's side, about


class Run(NamedTuple):
    """Chains from one kind of start.

    Attributes:
        marks: steps after which the states stand, 0 the first.
        states: (marks, N, C, H, W), in [-1, 1].
        scores: (marks, N), log p up to a constant.
    """

    marks: list[int]
    states: np.ndarray
    scores: np.ndarray


def run(job: Job) -> Outcome:
    """Measure, judge and picture chains of `times` K steps."""
    chain, count = Chain(job.learner), job.settings.chains
    seeds, data = job.seeds(count), torch.from_numpy(job.test[:count])
    last = job.settings.times * chain.steps
    marks = sorted({chain.steps, *decades(last)})
    runs = {}
    for place, (name, x) in enumerate({"noise": chain.starts(seeds), "data": data}.items(), 1):
        runs[name] = follow(chain, x, spawn(seeds, place), marks)
        picture(job, name, runs[name])
        job.tell(place / 2, f"long chains from {name}")
    level = float(chain.score(data).mean())
    draw_lines(
        {f"from {name}": each.scores.mean(1)[1:] - level for name, each in runs.items()},
        job.folder / "long_chains_score.png",
        ("step", "mean log p, less that of test images", "Long chains: log p along the chain"),
        np.array(marks),
    )
    names = [*(f"long_chains_{name}" for name in runs), "long_chains_score"]
    sides = {name: look(each.states[-1]) for name, each in runs.items()}
    short = look(runs["noise"].states[runs["noise"].marks.index(chain.steps)])
    real = look(job.test)
    said = say(chain.steps, last, short, sides, real)
    gaps = {name: float(each.scores[-1].mean()) - level for name, each in runs.items()}
    return Outcome(said, *rows(short, sides, real, gaps, count), names)


def follow(chain: Chain, x: torch.Tensor, seeds: list[int], marks: list[int]) -> Run:
    """Run chains from x: (N, C, H, W), and keep them and their scores at the marks."""
    states = [x, *chain.run_to(x, seeds, marks)]
    scores = torch.stack([chain.score(state) for state in states])
    shown = torch.stack([state.cpu() for state in states]).clamp(-1, 1)
    return Run([0, *marks], shown.numpy(), scores.cpu().double().numpy())


def picture(job: Job, name: str, made: Run) -> None:
    """Draw a column a chain, a line a mark, the start on top."""
    states, count = made.states, made.states.shape[1]
    flat = states.reshape(-1, *states.shape[2:])
    sheet(flat, job.folder / f"long_chains_{name}.png", count, SIDE)


def say(steps: int, last: int, short: Look, sides: dict[str, Look], real: Look) -> str:
    """Return the protocol, with the verdict in words."""
    words = {name: word(each, real) for name, each in sides.items()}
    whole = verdict(word(short, real), words["noise"], words["data"])
    told = ", ".join(f"from {name} it {doing(each)}" for name, each in words.items())
    return (
        f"Long chains: {last} steps where learning runs {steps}; {told}. Verdict: {whole} "
        f"(steady is a contrast of {FAINT} to {LOUD} times the test images')."
    )


def doing(word: str) -> str:
    """Return a word as what a chain does."""
    return "is steady" if word == "steady" else word


def rows(
    short: Look, sides: dict[str, Look], real: Look, gaps: dict[str, float], count: int
) -> tuple[Rows, Rows]:
    """Return the rows of contrast, variety, saturation and score at the ends of the chains."""
    metrics, compared = [], []
    for name, each in sides.items():
        for figure, (better, about) in ABOUT.items():
            metric, right = f"long_chains_{figure}_{name}", getattr(real, figure)
            low, high = (0.0, right) if better == "higher" else (right, 1.0)
            text = f"{about} Chains from {name}: one that {doing(word(each, real))}."
            made = row(
                metric,
                [getattr(each, figure)],
                floor=low,
                ceiling=high,
                better=better,
                samples=count,
                about=text,
            )
            metrics.append(made)
            compared.append(beside(metric, "K steps from noise", getattr(short, figure)))
        metrics.append(score_row(name, gaps[name], count))
    return metrics, compared


ABOUT = {
    "contrast": (
        "higher",
        "Standard deviation of all pixels; ceiling: test images, near it is right, beyond it "
        "pixels run to the ends of their range.",
    ),
    "variety": (
        "higher",
        "Standard deviation of a pixel among chains, mean over pixels; ceiling: test images, near "
        "it is right.",
    ),
    "saturated": ("lower", "Share of pixels with |x| of 0.99 and more; floor: test images."),
}


def score_row(name: str, gap: float, count: int) -> dict[str, object]:
    """Return the row of the score at the ends of chains from one kind of start."""
    return row(
        f"long_chains_score_{name}",
        [gap],
        floor=None,
        ceiling=None,
        better="lower",
        samples=count,
        about=f"Mean log p at the ends of chains from {name}, less that of test images, in nats: "
        "far above 0, the model likes best what is no data.",
    )
