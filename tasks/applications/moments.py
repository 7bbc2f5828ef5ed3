"""moments: do the means of the last layer's features agree, of data, short and long chains?"""

import numpy as np
import torch

from ebm.apply.chain import Chain
from ebm.apply.moments import features, gap, sampling_error
from tasks.applications.job import Job, Outcome, Rows
from tasks.scores import beside, row

REVISION = 1

BATCH = 250  # chains run at once
PROTOCOL = (
    "Moment matching: the means of the last layer's inputs h over training images and over chains "
    "from noise, of K steps and longer; the gap is the norm of their difference over the norm of "
    "the data's standard deviations. Learning adds noise to its images; here there is none."
)


def run(job: Job) -> Outcome:
    """Measure the gap of the data to short and to long chains."""
    chain, settings = Chain(job.learner), job.settings
    network = job.learner.feature_network
    sizes = {"short": settings.chains, "long": settings.long_chains}
    steps = {"short": chain.steps, "long": settings.times * chain.steps}
    train, test, starts = (
        features(network, x.to(job.learner.device))
        for x in (
            torch.from_numpy(job.train[: settings.images]),
            torch.from_numpy(job.test[: settings.images]),
            chain.starts(job.seeds(settings.chains)),
        )
    )
    ends = {}
    for place, (kind, count) in enumerate(sizes.items(), 1):
        ends[kind] = features(network, drawn(job, chain, count, steps[kind]))
        job.tell(place / 2, f"moments, {kind} chains")
    return Outcome(PROTOCOL, *rows(train, test, starts, ends, steps), [])


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
