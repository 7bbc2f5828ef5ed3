"""long_chains: run chains much longer than in learning, from noise and from data; judge them."""

from typing import NamedTuple

import numpy as np
import torch

from ebm.apply.chain import Chain, decades
from ebm.apply.long_chains import PHRASES, Look, judge, look, word
from ebm.samplers.noise import spawn
from tasks.applications.job import Job, Outcome, Rows
from tasks.applications.lines import draw_lines
from tasks.pictures import sheet
from tasks.scores import beside, row

REVISION = 2

SIDE = 1000  # pixels of a picture's side, about
TEST = 1000  # test images that states are held against, at most


class Run(NamedTuple):
    """Chains from one kind of start.

    Attributes:
        marks: steps after which the states stand, 0 the first.
        states: (marks, N, C, H, W), as they are: not clamped, perhaps not finite.
        scores: (marks, N), log p up to a constant.
    """

    marks: list[int]
    states: np.ndarray
    scores: np.ndarray


def run(job: Job) -> Outcome:
    """Measure, judge and picture chains of `times` K steps."""
    chain, count = Chain(job.learner), job.settings.chains
    drawn, last = chain.settings.sample_steps, job.settings.times * chain.steps
    runs = both(job, chain, sorted({drawn, *decades(last)}))
    samples = list(job.learner.sample(job.seeds(count)).values())[-1][-1].cpu().numpy()
    level = float(chain.score(torch.from_numpy(job.test[:count])).mean())
    draw_lines(
        {f"from {name}": each.scores.mean(1)[1:] - level for name, each in runs.items()},
        job.folder / "long_chains_score.png",
        ("step", "mean log p, less that of test images", "Long chains: log p along the chain"),
        np.array(runs["noise"].marks[1:]),
    )
    sets = {"samples": samples, **{name: each.states[-1] for name, each in runs.items()}}
    looks = {name: look(states, job.train, count) for name, states in sets.items()}
    real = look(blurred(job), job.train, count)
    words = {name: word(each, real) for name, each in looks.items()}
    found = judge((drawn, last), words["samples"], words["noise"], words["data"])
    gaps = {name: float(each.scores[-1].mean()) - level for name, each in runs.items()}
    metrics, compared = rows(looks, words, real, gaps, count)
    names = [*(f"long_chains_{name}" for name in runs), "long_chains_score"]
    said = f"Long chains: {last} steps where learning runs {chain.steps}. Regime: {found.name}; "
    return Outcome(f"{said}{found.evidence}.", metrics, compared, names, found)


def blurred(job: Job) -> np.ndarray:
    """Return test images with the noise that learning adds to its images: f is learned of these."""
    e = np.random.default_rng(job.seed).standard_normal(job.test[:TEST].shape)
    return job.test[:TEST] + np.float32(job.learner.settings.data_noise) * e.astype(np.float32)


def both(job: Job, chain: Chain, marks: list[int]) -> dict[str, Run]:
    """Run and picture chains from noise, as samples start, and from test images."""
    seeds, data = job.seeds(job.settings.chains), torch.from_numpy(job.test[: job.settings.chains])
    runs = {}
    for place, (name, x) in enumerate({"noise": chain.starts(seeds), "data": data}.items(), 1):
        runs[name] = follow(chain, x, spawn(seeds[: len(x)], place), marks)
        picture(job, name, runs[name])
        job.tell(place / 2, f"long chains from {name}")
    return runs


def follow(chain: Chain, x: torch.Tensor, seeds: list[int], marks: list[int]) -> Run:
    """Run chains from x: (N, C, H, W), and keep them and their scores at the marks."""
    states = [x, *chain.run_to(x, seeds, marks)]
    scores = torch.stack([chain.score(state) for state in states])
    kept = torch.stack([state.cpu() for state in states])
    return Run([0, *marks], kept.numpy(), scores.cpu().double().numpy())


def picture(job: Job, name: str, made: Run) -> None:
    """Draw a column a chain, a line a mark, the start on top; what is no number is grey."""
    states, count = np.nan_to_num(made.states, nan=0.0).clip(-1, 1), made.states.shape[1]
    flat = states.reshape(-1, *states.shape[2:])
    sheet(flat, job.folder / f"long_chains_{name}.png", count, SIDE)


def rows(
    looks: dict[str, Look], words: dict[str, str], real: Look, gaps: dict[str, float], count: int
) -> tuple[Rows, Rows]:
    """Return the rows of each figure and of the score at the ends of the chains.

    A score that is not finite, of chains that fled, has none.
    """
    metrics, compared = [], []
    for name, gap in gaps.items():
        for figure, (better, about) in ABOUT.items():
            metric, right = f"long_chains_{figure}_{name}", getattr(real, figure)
            made = row(
                metric,
                [getattr(looks[name], figure)],
                floor=0.0 if better == "higher" else right,
                ceiling=right if better == "higher" else 1.0,
                better=better,
                samples=count,
                about=f"{about} These chains, from {name}, {PHRASES[words[name]]}.",
            )
            metrics.append(made)
            compared.append(beside(metric, "samples", getattr(looks["samples"], figure)))
        metrics += [score_row(name, gap, count)] if np.isfinite(gap) else []
    return metrics, compared


ABOUT = {
    "contrast": (
        "higher",
        "Standard deviation of all pixels; ceiling: test images, near it is right, beyond it "
        "pixels run to the ends of their range.",
    ),
    "variety": (
        "higher",
        "Distance of a chain's end to the nearest other one, root mean square of a pixel, median; "
        "ceiling: as many test images, near it is right.",
    ),
    "saturated": ("lower", "Share of pixels with |x| of 0.99 and more; floor: test images."),
    "distance": (
        "lower",
        "Distance to the nearest training image, root mean square of a pixel, median; floor: test "
        "images, near it is right, and noise is far from it.",
    ),
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
