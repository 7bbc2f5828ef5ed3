"""inpaint: fill the hidden part of held-out images, and measure the fills beside two rules."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ebm.apply.boxes import Box, make_masks
from ebm.apply.inpaint import (
    Errors,
    best_errors,
    complete,
    diffusion_fill,
    hole_errors,
    nearest_fill,
    spread,
)
from tasks.applications.job import Job, Outcome, Rows
from tasks.apply_settings import InpaintSettings
from tasks.pictures import masked, sheet
from tasks.scores import beside, row

REVISION = 1

SHOWN = 16  # images pictured; all are measured
WIDE = 1000  # pixels of a picture's side, about
PROTOCOL = (
    "Test images with a part hidden; the visible pixels are held while the model's chains run from "
    "the coarsest grid up. Errors are over all hidden pixels, pixels in [-1, 1], PSNR with peak 2: "
    "mean and standard deviation over sets of completions, one completion of each image in a set. "
    "A completion is a draw: the best sampler's squared error is twice that of the best single "
    "guess, which the mean of many completions comes near."
)


class Filled(NamedTuple):
    """One mask's images, (N, C, H, W), its mask, (N, 1, H, W), and every fill.

    Attributes:
        fills: (times, N, C, H, W), the model's completions.
        rules: fills by rules that know no model, by name.
    """

    images: np.ndarray
    mask: np.ndarray
    fills: np.ndarray
    rules: dict[str, np.ndarray]


def run(job: Job) -> Outcome:
    """Measure and picture the fills of each mask: a picture a mask, under its name."""
    settings = job.settings
    images = job.test[: settings.images]
    masks = {
        kind: mask_of(each, settings, len(images), images.shape[-1], job.seed)
        for kind, each in zip(settings.names(), settings.masks, strict=True)
    }
    metrics: Rows = []
    compared: Rows = []
    for place, (kind, mask) in enumerate(masks.items(), 1):
        fills = complete(job.learner, images, mask, settings.completions, job.seed, settings.pace)
        filled = Filled(images, mask, fills, rules(images, mask, job.train, job.seed))
        picture(filled, job.folder / f"{kind}.png")
        more = rows(kind, filled, job.train)
        metrics += more[0]
        compared += more[1]
        job.tell(place / len(masks), kind)
    return Outcome(PROTOCOL, metrics, compared, list(masks))


def mask_of(
    mask: str | Box, settings: InpaintSettings, count: int, size: int, seed: int
) -> np.ndarray:
    """Return a mask of the settings for each image, (count, 1, size, size), True = visible."""
    if isinstance(mask, Box):
        return mask.masks(count, size)
    return make_masks(mask, count, size, settings.hidden, seed)


def rules(
    images: np.ndarray, mask: np.ndarray, train: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Return fills by rules that know no model."""
    noise = np.random.default_rng(seed).uniform(-1, 1, images.shape).astype(np.float32)
    return {
        "nearest training image": nearest_fill(images, mask, train),
        "diffusion": diffusion_fill(images, mask),
        "uniform noise": np.where(mask, images, noise),
    }


def rows(kind: str, filled: Filled, train: np.ndarray) -> tuple[Rows, Rows]:
    """Return one mask's rows of apply.json."""
    images, mask = filled.images, filled.mask
    own = [hole_errors(fill, images, mask) for fill in filled.fills]
    others = {of: hole_errors(fill, images, mask) for of, fill in filled.rules.items()}
    others["mean of the completions"] = hole_errors(filled.fills.mean(0), images, mask)
    others["best of the completions"] = best_errors(filled.fills, images, mask)
    metrics = [*error_rows(kind, own, others["uniform noise"], len(images))]
    metrics.append(spread_row(kind, filled, train))
    compared = [
        beside(f"inpaint_{figure}_{kind}", of, finite(getattr(errors, figure)))
        for figure in Errors._fields
        for of, errors in others.items()
    ]
    times = len(filled.fills)
    right = (others["mean of the completions"].mse / (1 + 1 / times)) ** 0.5
    return metrics, [*compared, beside(f"inpaint_spread_{kind}", "error of a best guess", right)]


def finite(value: float) -> float | None:
    """Return a figure, None where it is infinite, as the PSNR of an exact fill is."""
    return value if np.isfinite(value) else None


def error_rows(kind: str, own: list[Errors], noise: Errors, count: int) -> Rows:
    """Return the rows of the squared error and of the PSNR."""
    return [
        row(
            f"inpaint_mse_{kind}",
            [errors.mse for errors in own],
            floor=0.0,
            ceiling=noise.mse,
            better="lower",
            samples=count,
            about="Mean squared error of a hidden pixel in one completion; ceiling: uniform noise "
            "in the hole.",
        ),
        row(
            f"inpaint_psnr_{kind}",
            [errors.psnr for errors in own],
            floor=noise.psnr,
            ceiling=None,
            better="higher",
            samples=count,
            about="PSNR on the hidden pixels in dB; floor: uniform noise in the hole.",
        ),
    ]


def spread_row(kind: str, filled: Filled, train: np.ndarray) -> dict[str, Any]:
    """Return the row of the completions' spread: one figure, of all completions together."""
    blind = np.broadcast_to(train.std(0, dtype=np.float64), filled.images.shape)
    hole = np.broadcast_to(~filled.mask, filled.images.shape)
    made = row(
        f"inpaint_spread_{kind}",
        [spread(filled.fills, filled.mask)],
        floor=0.0,
        ceiling=float(np.sqrt(np.square(blind[hole]).mean())),
        better="higher",
        samples=len(filled.images),
        about="Standard deviation of a hidden pixel among completions of one image; floor: one "
        "answer always, ceiling: training images at random; right is the error of a best guess, as "
        "the completions' mean tells it.",
    )
    return {**made, "seeds": len(filled.fills)}


def picture(filled: Filled, path: Path) -> None:
    """Draw a column for each of the first images: original, masked, completions, rules' fills."""
    images = filled.images[:SHOWN]
    known = [fill[:SHOWN] for of, fill in filled.rules.items() if of != "uniform noise"]
    lines = [images, masked(images, filled.mask[:SHOWN]), *filled.fills[:, :SHOWN], *known]
    shape = (len(images), 3, *images.shape[2:])
    sheet(np.concatenate([np.broadcast_to(x, shape) for x in lines]), path, len(images), WIDE)
