"""reconstruct: search the start that the short-run chain turns into a given image."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ebm.apply.chain import Chain
from ebm.apply.reconstruct import Found, reconstruct, size
from tasks.applications.job import Job, Outcome, Rows
from tasks.applications.lines import draw_lines
from tasks.pictures import sheet
from tasks.scores import beside, row

REVISION = 1

SIDE = 1000  # pixels of a picture's side, about
SHARES = (0, 0.05, 0.1, 0.25, 0.5, 1)  # of the iterations, pictured
PROTOCOL = (
    "Reconstruction: Adam on the start z, through all steps of the chain of learning with its "
    "noise off, from a start drawn from noise; the error is a pixel's, over all images."
)


def run(job: Job) -> Outcome:
    """Measure and picture the search on held-out, training and other images."""
    sets = {"test": job.test, "train": job.train}
    if job.other is not None:
        sets[job.settings.other] = job.other
    sets = {name: images[: job.settings.images] for name, images in sets.items()}
    total, found = len(sets) + 1, {}
    for place, (name, images) in enumerate(sets.items()):
        found[name] = search(job, job.learner, images, place / total, total)
    bare = search(job, untrained(job.learner, job.seed), sets["test"], 1 - 1 / total, total)
    pictures = [picture(job, name, each, sets[name]) for name, each in found.items()]
    curves = {**found, "untrained network, test": bare}
    draw_lines(
        {name: each.errors.mean(1) for name, each in curves.items()},
        job.folder / "reconstruct_error.png",
        ("iteration", "mean squared error", "Reconstruction: error by iteration"),
    )
    typical = size(Chain(job.learner).starts(job.seeds(job.settings.images)).cpu().numpy())
    return Outcome(PROTOCOL, *rows(found, bare, typical), [*pictures, "reconstruct_error"])


def search(job: Job, learner: Any, images: np.ndarray, done: float, total: int) -> Found:
    """Search the starts of images by a learner's chain."""
    settings, last = job.settings, job.settings.iterations
    return reconstruct(
        Chain(learner),
        torch.from_numpy(images),
        job.seeds(len(images)),
        iterations=last,
        rate=settings.rate,
        segment=settings.segment,
        keep=[round(share * last) for share in SHARES],
        tell=lambda at: job.tell(done + at / last / total, f"reconstruct, iteration {at}"),
    )


def untrained(learner: Any, seed: int) -> Any:
    """Return the same learner before any learning."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return type(learner)(learner.settings, device=learner.device)


def picture(job: Job, name: str, found: Found, images: np.ndarray) -> str:
    """Draw a column an image: M(z) as the search goes on, then the image itself."""
    lines = [*(found.path[step] for step in sorted(found.path)), images]
    sheet(np.concatenate(lines), job.folder / f"reconstruct_{name}.png", len(images), SIDE)
    return f"reconstruct_{name}"


def rows(found: Mapping[str, Found], bare: Found, typical: float) -> tuple[Rows, Rows]:
    """Return the rows of the errors and of the size of the starts that were found."""
    metrics, compared = [], []
    for name, each in found.items():
        metrics.append(
            row(
                f"reconstruct_mse_{name}",
                [float(each.errors[-1].mean())],
                floor=0.0,
                ceiling=float(each.errors[0].mean()),
                better="lower",
                samples=each.errors.shape[1],
                about=f"Mean squared error of a pixel of the {name} images after "
                f"{len(each.errors) - 1} iterations; ceiling: M of a start drawn from noise.",
            )
        )
    compared.append(
        beside("reconstruct_mse_test", "untrained network", float(bare.errors[-1].mean()))
    )
    metrics.append(
        row(
            "reconstruct_start_size",
            [size(found["test"].z)],
            floor=typical,
            ceiling=None,
            better="lower",
            samples=len(found["test"].z),
            about="Root mean square of a value of the starts found for the test images; floor: "
            "starts drawn from noise. Far above it, the start and not the chain holds the image.",
        )
    )
    compared.append(beside("reconstruct_start_size", "untrained network", size(bare.z)))
    return metrics, compared
