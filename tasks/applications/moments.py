"""moments: do the means of the last layer's features agree, of data, short and long chains?"""

import numpy as np
import torch

from ebm.apply.chain import Chain
from ebm.apply.moments import features, gap, sampling_error
from ebm.samplers.noise import spawn
from tasks.applications.job import Job, Outcome, Rows
from tasks.scores import beside, row

REVISION = 2

BATCH = 250  # chains run at once
TRAIN, TEST = 3, 4  # keys of the seeds of the noise on either set; a chain has 1 and 2
PROTOCOL = (
    "Moment matching: the means of the last layer's inputs h over training images and over chains "
    "from noise, of K steps and longer; the gap is the norm of their difference over the norm of "
    "the data's standard deviations. All images have the noise that learning adds to them."
)


def run(job: Job) -> Outcome:
    """Measure the gap of the data to short and to long chains."""
    chain, settings = Chain(job.learner), job.settings
    network = job.learner.feature_network
    sizes = {"short": settings.chains, "long": settings.long_chains}
    steps = {"short": chain.steps, "long": settings.times * chain.steps}
    train, test, starts = (
        features(network, x)
        for x in (
            noisy(job, job.train[: settings.images], TRAIN),
            noisy(job, job.test[: settings.images], TEST),
            chain.starts(job.seeds(settings.chains)),
        )
    )
    ends = {}
    for place, (kind, count) in enumerate(sizes.items(), 1):
        ends[kind] = features(network, drawn(job, chain, count, steps[kind]))
        job.tell(place / 2, f"moments, {kind} chains")
    return Outcome(PROTOCOL, *rows(train, test, starts, ends, steps), [])


def noisy(job: Job, images: np.ndarray, key: int) -> torch.Tensor:
    """Return images with the noise of learning, an image its own: the learner's `blur`."""
    x = torch.from_numpy(images).to(job.learner.device)
    blurred: torch.Tensor = job.learner.blur(x, spawn(job.seeds(len(images)), key))
    return blurred


def drawn(job: Job, chain: Chain, count: int, steps: int) -> torch.Tensor:
    """Return the ends of chains from noise."""
    parts = []
    for first in range(0, count, BATCH):
        seeds = job.seeds(min(BATCH, count - first), first)
        parts.append(chain.run(chain.starts(seeds), seeds, steps))
    return torch.cat(parts)


def rows(
    train: np.ndarray,
    test: np.ndarray,
    starts: np.ndarray,
    ends: dict[str, np.ndarray],
    steps: dict[str, int],
) -> tuple[Rows, Rows]:
    """Return the rows of both gaps, each with the test images' gap beside it."""
    metrics, compared = [], []
    for kind, samples in ends.items():
        metric = f"moments_gap_{kind}"
        metrics.append(
            row(
                metric,
                [gap(train, samples)],
                floor=sampling_error(len(train), len(samples)),
                ceiling=gap(train, starts),
                better="lower",
                samples=len(samples),
                about=f"Gap of the mean features of {len(train)} training images to those of "
                f"chains after {steps[kind]} steps; floor: what chance gives two sets of one law, "
                "ceiling: the chains' starts.",
            )
        )
        compared.append(beside(metric, "test images", gap(train, test)))
    return metrics, compared
