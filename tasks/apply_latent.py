"""apply, of latent-space models: reconstruct, fill in, go between, run the prior long, score."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ebm.apply.boxes import make_masks
from ebm.apply.inpaint import diffusion_fill, hole_errors, nearest_fill
from ebm.apply.latent import (
    between,
    complete,
    components,
    decode,
    infer,
    prior_path,
    reconstruct,
)
from ebm.metrics.likelihood import likelihood
from ebm.samplers.noise import seed_range
from ebm.stored import load
from tasks.applications.lines import draw_lines
from tasks.apply_settings import LatentSettings
from tasks.artefacts import load_arrays, new_folder
from tasks.inputs import ApplyInputs
from tasks.latent_pictures import draw_landscape
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.pictures import masked, sheet
from tasks.scores import beside, naming, row, write_scores

REVISION = 1

SIDE = 1000  # pixels of a picture's side, about
STATES = 8  # states of the long chains that are pictured
NORMAL = 1.96  # standard errors of a 95 % interval

Rows = list[dict[str, Any]]


class Work(NamedTuple):
    """What the parts of the application are given.

    Attributes:
        learner: the trained model.
        train, held: images, (N, C, H, W).
        asked: the settings.
        seed: the experiment's.
        folder: of the pictures.
    """

    learner: Any
    train: Tensor
    held: Tensor
    asked: LatentSettings
    seed: int
    folder: Path


def run(name: str, part: None, inputs: ApplyInputs, paths: Paths, monitor: Monitor) -> None:
    """Write results/NAME/apply.json, and the pictures in results/NAME/apply."""
    asked = inputs.apply.latent
    assert asked is not None  # by what chose this module
    learner = load(paths.model(name, inputs.final)).learner
    data = paths.prepared(inputs.dataset)
    train, held = (
        torch.from_numpy(load_arrays(data / f"{of}.npz")["x"]) for of in ("train", asked.against)
    )
    metrics: Rows = []
    compared: Rows = []
    with new_folder(paths.results(name) / "apply") as folder:
        work = Work(learner, train, held[: asked.images], asked, inputs.seed, folder)
        parts = [reconstructions, fills, ways]
        parts += [long_chains] if asked.long else []
        parts += [likelihoods] if asked.likelihood else []
        parts += [landscape] if learner.settings.latent == 2 and learner.settings.prior else []
        for place, each in enumerate(parts, 1):
            made, rivals = each(work)
            metrics, compared = metrics + made, compared + rivals
            monitor.progress(place, len(parts), each.__name__.replace("_", " "))
    told_of = naming(asked.against)
    metrics, compared = ([told_of(each) for each in rows] for rows in (metrics, compared))
    write_scores(paths.results(name) / "apply.json", name, protocol(learner), metrics, compared)
    monitor.note(pictures=[str(p) for p in sorted((paths.results(name) / "apply").glob("*.png"))])


def protocol(learner: Any) -> str:
    """Say how it was measured."""
    chain = learner.settings.posterior.chain
    start = "e(x)" if learner.settings.posterior.encoder else "0"
    return (
        f"z has {learner.settings.latent} values, and is inferred by {chain.sample_steps} steps of "
        f"the posterior's chain without noise, from {start}; of what is partly hidden, from 0. "
        "Errors are means over pixels in [-1, 1]."
    )


def mse(a: Tensor, b: Tensor) -> float:
    """Return the mean squared difference of a value."""
    return float((a.double() - b.double()).square().mean())


def reconstructions(work: Work) -> tuple[Rows, Rows]:
    """Reconstruct held-out images, beside principal components and the mean image."""
    x, shown = work.held, work.asked.shown
    rivals = components(work.train, work.learner.settings.latent)
    made, projected = reconstruct(work.learner, x), rivals.reconstruct(x)
    mean = rivals.mean.view(1, *x.shape[1:]).expand(x.shape)
    lines = torch.cat([x[:shown], made[:shown], projected[:shown]])
    sheet(lines.numpy(), work.folder / "latent_reconstructions.png", shown, SIDE)
    metric = row(
        "latent_mse",
        [mse(made, x)],
        floor=0.0,
        ceiling=mse(mean, x),
        better="lower",
        samples=len(x),
        about="Mean squared error of a pixel of reconstructed test images; ceiling: the mean "
        "image.",
    )
    return [metric], [beside("latent_mse", "principal components", mse(projected, x))]


def fills(work: Work) -> tuple[Rows, Rows]:
    """Fill in what is hidden of held-out images, by z of what is seen."""
    metrics: Rows = []
    compared: Rows = []
    x = work.held.numpy()
    for mask in work.asked.masks:
        seen = make_masks(mask, len(x), x.shape[-1], work.asked.hidden, work.seed)
        made = complete(work.learner, work.held, torch.from_numpy(seen)).numpy()
        rules = {
            "nearest training image": nearest_fill(x, seen, work.train.numpy()),
            "diffusion": diffusion_fill(x, seen),
            "mean image": np.where(seen, x, work.train.numpy().mean(0, keepdims=True)),
        }
        errors = {of: hole_errors(fill, x, seen).mse for of, fill in rules.items()}
        name, shown = f"latent_hole_mse_{mask}", work.asked.shown
        metrics.append(
            row(
                name,
                [hole_errors(made, x, seen).mse],
                floor=0.0,
                ceiling=errors.pop("mean image"),
                better="lower",
                samples=len(x),
                about=f"Mean squared error of a hidden pixel, mask {mask}; ceiling: the mean of "
                "the training images.",
            )
        )
        compared += [beside(name, of, value) for of, value in errors.items()]
        three = [np.broadcast_to(each[:shown], (shown, 3, *x.shape[2:])) for each in (made, x)]
        lines = np.concatenate([masked(x[:shown], seen[:shown]), *three])
        sheet(lines, work.folder / f"latent_hole_{mask}.png", shown, SIDE)
    return metrics, compared


def ways(work: Work) -> tuple[Rows, Rows]:
    """Picture the ways between the z of pairs of held-out images."""
    strips, frames = work.asked.strips, work.asked.frames
    x = work.held[: 2 * strips]
    z = infer(work.learner, x)
    between_them = between(z[:strips], z[strips:], frames)
    made = decode(work.learner, between_them.flatten(0, 1)).unflatten(0, (strips, frames))
    lines = torch.cat([x[:strips, None], made, x[strips:, None]], 1).flatten(0, 1)
    sheet(lines.numpy(), work.folder / "latent_ways.png", frames + 2, SIDE)
    return [], []


def long_chains(work: Work) -> tuple[Rows, Rows]:
    """Run the prior's chains much longer than in learning."""
    asked = work.asked.long
    assert asked is not None
    prior = work.learner.settings.prior
    start = prior.chain.sample_steps if prior else 1
    seeds = seed_range(work.seed, asked.chains)
    path = prior_path(work.learner, seeds, asked.steps, max(1, start // 2))
    marks = picked(path.at, start)
    images = torch.cat([work.learner.decode(path.z[i], seeds).cpu() for i in marks])
    sheet(images.numpy(), work.folder / "latent_long.png", asked.chains, SIDE)
    inferred = float(infer(work.learner, work.held).std())
    spreads = path.z.flatten(1).std(1)
    at = np.array(path.at)
    lines = {"long chains": spreads.numpy(), "inferred z": np.full(len(at), inferred)}
    words = ("step", "standard deviation of z", "Long chains of the prior")
    draw_lines(lines, work.folder / "latent_long_spread.png", words, at, logarithmic=False)
    heights = {"long chains": path.log_p.mean(1).numpy()}
    words = ("step", "f(z) - |z|^2 / 2", "Long chains of the prior")
    draw_lines(heights, work.folder / "latent_long_log_p.png", words, at, logarithmic=False)
    return long_rows(work, path.z[marks[1]], path.z[-1], inferred, asked.steps)


def picked(at: list[int], start: int) -> list[int]:
    """Return which states are pictured: the first, that after K0 steps, and later ones.

    >>> picked([0, 30, 60, 90, 120], 60)
    [0, 2, 3, 4]
    """
    first = at.index(min(at, key=lambda step: abs(step - start)))
    return [0, *dict.fromkeys(np.linspace(first, len(at) - 1, STATES - 1).astype(int).tolist())]


def long_rows(
    work: Work, short: Tensor, long: Tensor, inferred: float, steps: int
) -> tuple[Rows, Rows]:
    """Return the rows of what long chains keep: the spread of z, and the contrast of images."""
    seeds = seed_range(work.seed, len(long))
    contrast = [
        float(work.learner.decode(z, seeds).cpu().flatten(1).std(1).mean()) for z in (short, long)
    ]
    own = float(work.held.flatten(1).std(1).mean())
    spread = row(
        "latent_long_spread",
        [float(long.std()) / inferred],
        floor=None,
        ceiling=None,
        better="lower",
        samples=len(long),
        about=f"Standard deviation of z after {steps} steps of the prior, over that of inferred z: "
        "1 is right.",
    )
    shades = row(
        "latent_long_contrast",
        [contrast[1] / own],
        floor=None,
        ceiling=None,
        better="higher",
        samples=len(long),
        about=f"Contrast of what z decodes to after {steps} steps, over that of held-out images: 1 "
        "is right.",
    )
    return [spread, shades], [
        beside("latent_long_spread", "chains of K0 steps", float(short.std()) / inferred),
        beside("latent_long_contrast", "chains of K0 steps", contrast[0] / own),
    ]


def likelihoods(work: Work) -> tuple[Rows, Rows]:
    """Estimate log p(x) of held-out images, with its confidence interval over them."""
    asked = work.asked.likelihood
    assert asked is not None
    x = work.held[: asked.images]
    steps = work.learner.settings.posterior.chain.sample_steps
    found = likelihood(work.learner, x, steps=steps, draws=asked.draws, seed=work.seed)
    half = NORMAL * float(found.values.std()) / len(x) ** 0.5
    metric = row(
        "latent_log_likelihood",
        [float(found.values.mean())],
        floor=None,
        ceiling=None,
        better="higher",
        samples=len(x),
        about=f"log p(x) in nats, mean over held-out images, +- {half:.3g} (95 %, over images), by "
        f"{asked.draws} draws about the mode, of which {float(found.share.median()):.0%} count; "
        f"log Z of the prior {float(found.log_z.value):.3f} +- {float(found.log_z.error):.3f}, "
        f"by draws worth {float(found.log_z.chains):.0f}.",
    )
    return [metric], [beside("latent_log_likelihood", "principal components", by_pca(work, x))]


def by_pca(work: Work, x: Tensor) -> float:
    """Return the mean log p(x) of probabilistic PCA of equal dimension and the decoder's noise."""
    sd, rivals = (
        work.learner.settings.decoder.sd,
        components(work.train, work.learner.settings.latent),
    )
    flat = work.train.flatten(1).double() - rivals.mean
    extra = ((flat @ rivals.vectors).var(0) - sd**2).clamp(min=1e-6)
    scaled = rivals.vectors * extra.sqrt()
    normal = torch.distributions.LowRankMultivariateNormal(
        rivals.mean[0], scaled, torch.full((flat.shape[1],), sd**2, dtype=torch.float64)
    )
    return float(normal.log_prob(x.flatten(1).double()).mean())


def landscape(work: Work) -> tuple[Rows, Rows]:
    """Picture the prior of two values."""
    z = infer(work.learner, work.held).cpu().numpy()
    draw_landscape(work.learner, z, work.folder / "latent_landscape.png")
    return [], []
