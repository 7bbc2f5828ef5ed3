"""statistics: do samples have the filter responses of the data, also of filters not fitted?"""

import functools

import numpy as np
import torch
from torch import Tensor

from ebm.apply.chain import Chain
from ebm.learn.parts import at_rest
from ebm.metrics.response_statistics import Respond, apart, histograms, maps, unit
from ebm.samplers.noise import spawn
from tasks.applications.cnn_pictures import draw_weights
from tasks.applications.frame_pictures import draw_potentials, draw_selected, draw_templates
from tasks.applications.job import Job, Outcome, Rows
from tasks.pictures import sheet
from tasks.scores import beside, row

REVISION = 3

ONWARD = 3  # key of the seeds of the trajectories whose acceptance is measured
CHOICES = 20  # random choices of images
SHOWN, SIDE = 4, 1000  # pictures of a kind; pixels of a picture's side, about
PROTOCOL = {
    True: "Response statistics: mean over filters of the total variation between the histograms of "
    "two sets, over all positions; the data's two sets are the squares learned from, of the left "
    "half of a picture, and those of its right half. A ratio is the distance of samples to the "
    "squares not learned from, over that between the two sets.",
    False: "Response statistics: root mean square difference, over filters and positions, of the "
    "mean absolute responses of two sets of as many images. A ratio is the distance of samples to "
    "training images, over that of training images to others of them.",
}
ABOUT = {
    "fitted": "the filters that the model was fitted with",
    "unfitted": "filters of other scales and orientations, which it was not fitted with",
    "noise": "filters of noise, which it was not fitted with",
}


def run(job: Job) -> Outcome:
    """Measure samples by every bank of filters, and picture samples and potentials."""
    learner, same = job.learner, job.learner.f.homogeneous
    samples = learner.sample(one_each(job))[learner.size][-1].cpu()
    job.tell(0.5, "statistics, samples")
    train, test = torch.from_numpy(job.train), torch.from_numpy(job.test)
    metrics, compared = [], []
    for name, respond in learner.f.views().items():
        with torch.no_grad():
            made = (
                textures(name, respond, samples, train, test)
                if same
                else objects(name, respond, samples, train, test)
            )
        metrics.append(made[0])
        compared += made[1]
    if job.settings.acceptance:
        metrics.append(acceptance(job, samples))
    pictures = draw(job, samples, train, test)
    job.tell(1.0, "statistics")
    return Outcome(PROTOCOL[same], metrics, compared, pictures)


def one_each(job: Job) -> list[int]:
    """Return seeds of samples that go on from kept states, where they do, from each once at most.

    Two that go on from one state are alike, and would count as one.
    """
    learner, wanted = job.learner, job.settings.samples
    if not learner.settings.continues:
        return job.seeds(wanted)
    found: dict[int, int] = {}
    most, first = min(wanted, len(learner.chains.states)), 0
    while len(found) < most:
        for seed in job.seeds(wanted, first):
            found.setdefault(learner.chains.row(seed), seed)
        first += wanted
    return list(found.values())[:most]


def textures(
    name: str, respond: Respond, samples: Tensor, train: Tensor, test: Tensor
) -> tuple[dict[str, object], Rows]:
    """Return the row of a bank's ratio, with noise as ceiling, and what stands beside it."""
    sd = unit(train, respond)
    noise = torch.randn(train.shape, generator=torch.Generator().manual_seed(0)) * train.std()
    seen = {
        of: histograms(x, respond, sd)
        for of, x in {"samples": samples, "half": train, "other": test, "noise": noise}.items()
    }
    halves = apart(seen["half"], seen["other"])
    values = [apart(histograms(x, respond, sd), seen["other"]) / halves for x in samples.split(1)]
    top = apart(seen["noise"], seen["other"]) / halves
    metric = f"statistics_ratio_{name}"
    made = row(
        metric,
        [apart(seen["samples"], seen["other"]) / halves],
        floor=0.0,
        ceiling=top,
        better="lower",
        samples=len(samples),
        about="Distance to the squares not learned from over that between both sets, of "
        f"{ABOUT[name]}; 1 is as far as the squares learned from; ceiling: Gaussian noise. Between "
        f"the sets: {halves:.4f}.",
    )
    return made, [
        beside(
            metric, "to the squares learned from", apart(seen["samples"], seen["half"]) / halves
        ),
        beside(metric, "one sample alone, mean", values),
    ]


def objects(
    name: str, respond: Respond, samples: Tensor, train: Tensor, test: Tensor
) -> tuple[dict[str, object], Rows]:
    """Return the row of a bank's ratio, with noise as ceiling, and what stands beside it."""
    sd = unit(train, respond)
    noise = torch.randn(samples.shape, generator=torch.Generator().manual_seed(0)) * train.std()
    twins = mirrored(train)
    if twins:  # the data's law has both of each
        test = torch.cat([test, test.flip(-1)])
    pairs = functools.cache(lambda size: drawn(train, respond, sd, size, 2, twins))

    def ratio(x: Tensor, twins: bool = False) -> float:
        size = size_of(x[: len(x) // (1 + twins)], train)
        means = drawn(x, respond, sd, size, 1, twins)
        both = [(mean, pair) for mean, pair in zip(means[:, 0], pairs(size), strict=True)]
        far = [apart(mean, half) for mean, pair in both for half in pair]
        return float(np.mean(far) / np.mean([apart(*pair) for _, pair in both]))

    metric = f"statistics_ratio_{name}"
    made = row(
        metric,
        [ratio(samples)],
        floor=0.0,
        ceiling=ratio(noise),
        better="lower",
        samples=len(samples),
        about=f"Mean distance of {size_of(samples, train)} samples to as many training images over "
        f"that between two such sets of these, of {ABOUT[name]}, over {CHOICES} random choices; 1 "
        "is as near as data; ceiling: Gaussian noise.",
    )
    return made, [beside(metric, "test images", ratio(test, twins))]


def drawn(x: Tensor, respond: Respond, sd: Tensor, size: int, parts: int, twins: bool) -> Tensor:
    """Return maps of random sets, (CHOICES, parts, K, h, w), `size` pictures of x each.

    Sets of one choice share no picture; of a picture and its twin one is taken, at random.
    """
    originals, generator = len(x) // (1 + twins), torch.Generator().manual_seed(size)
    weights = torch.zeros(CHOICES * parts, len(x))
    for choice in weights.split(parts):
        rows = torch.randperm(originals, generator=generator)[: size * parts]
        rows = rows + originals * torch.randint(1 + twins, rows.shape, generator=generator)
        for each, chosen in zip(choice, rows.split(size), strict=True):
            each[chosen] = 1 / size
    return maps(x, respond, sd, weights).unflatten(0, (CHOICES, parts))


def size_of(x: Tensor, train: Tensor) -> int:
    """Return how many pictures a set has: all, or half of the originals of training."""
    return min(len(x), len(train) // (2 + 2 * mirrored(train)))


def mirrored(x: Tensor) -> bool:
    """Tell whether the second half of the images is the first, mirrored, as `prepare` has it."""
    count = len(x) // 2
    return len(x) % 2 == 0 and torch.equal(x[count:], x[:count].flip(-1))


def acceptance(job: Job, samples: Tensor) -> dict[str, object]:
    """Return the row of the acceptance of K more trajectories from each sample, (N, C, H, W)."""
    learner, chain = job.learner, job.learner.settings.chain
    seeds = spawn(job.seeds(len(samples)), ONWARD)
    with at_rest(learner.networks):
        x = samples.to(learner.device)
        _, record = chain.run(learner.log_density, x, steps=chain.steps, seeds=seeds)
    return row(
        "statistics_acceptance",
        [float(record.acceptance.mean())],
        floor=0.0,
        ceiling=1.0,
        better="higher",
        samples=len(samples),
        about=f"Share of proposals of Hamiltonian Monte Carlo that are accepted, of {chain.steps} "
        "more from each sample; .6 to .95 mixes well, near 1 the steps are too small.",
    )


def draw(job: Job, samples: Tensor, train: Tensor, test: Tensor) -> list[str]:
    """Picture data over samples, a larger synthesis, and what was learned."""
    learner, names = job.learner, ["statistics", "statistics_learned"]
    lines = [each[:SHOWN] for each in (train, test, samples)]
    count = min(map(len, lines))
    shown = torch.cat([each[:count] for each in lines]).clamp(-1, 1).numpy()
    sheet(shown, job.folder / "statistics.png", count, SIDE)
    if hasattr(learner.f, "trunk"):  # filters of a CNN
        draw_weights(learner.f, job.folder / "statistics_learned.png")
    elif learner.f.homogeneous:
        draw_potentials(learner.f, job.folder / "statistics_learned.png")
    elif hasattr(learner.f, "template"):  # selected wavelets
        draw_selected(learner.f, job.folder / "statistics_learned.png")
    else:
        draw_templates(learner.f, job.folder / "statistics_learned.png")
    if job.settings.larger is not None:
        sheet(larger(job).numpy(), job.folder / "statistics_larger.png", 1, SIDE)
        names.append("statistics_larger")
    return names


def larger(job: Job) -> Tensor:
    """Return a synthesis at the size that the settings name, (1, C, side, side), from noise."""
    asked, learner, chain = job.settings.larger, job.learner, Chain(job.learner)
    seeds = job.seeds(1)
    scale = learner.settings.fresh.scale
    generator = torch.Generator().manual_seed(seeds[0])
    shape = (1, learner.settings.channels, asked.side, asked.side)
    x = scale * torch.randn(shape, generator=generator)
    return chain.run(x, seeds, asked.steps).clamp(-1, 1).cpu()
