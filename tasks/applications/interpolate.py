"""interpolate: strips of images between two starts of the short-run chain, its noise fixed."""

import numpy as np

from ebm.apply.chain import generator
from ebm.apply.interpolate import interpolate, largest_step
from tasks.applications.job import Job, Outcome, Rows
from tasks.pictures import sheet
from tasks.scores import beside, row

REVISION = 1

SIDE = 1000  # pixels of the picture's side, about
PROTOCOL = (
    "Interpolation: starts rho z1 + sqrt(1 - rho^2) z2 with rho = sin(a), equal steps of the angle "
    "a, through the chain of learning with one noise e for all of a strip."
)


def run(job: Job) -> Outcome:
    """Measure how smooth the strips are, and picture them, a line a strip."""
    settings = job.settings
    seeds = job.seeds(settings.strips)
    strips, starts = interpolate(generator(job.learner), seeds, settings.frames)
    shown = strips.reshape(-1, *strips.shape[2:])
    sheet(shown, job.folder / "interpolate.png", settings.frames, SIDE)
    job.tell(1.0, "interpolate")
    return Outcome(PROTOCOL, *rows(strips, starts), ["interpolate"])


def rows(strips: np.ndarray, starts: np.ndarray) -> tuple[Rows, Rows]:
    """Return the row of the strips' largest steps, and the starts' beside it."""
    metric, frames = "interpolate_largest_step", strips.shape[1]
    steps = largest_step(strips)
    made = row(
        metric,
        [float(steps.mean())],
        floor=1 / (frames - 1),
        ceiling=1.0,
        better="lower",
        samples=len(strips),
        about=f"Largest step between neighbours of a strip of {frames} images, over the distance "
        "of its ends, mean over strips; floor: equal steps on a straight line, ceiling: one jump. "
        "It tells of jumps, not of how good the images between are.",
    )
    return [made], [
        beside(metric, "the starts", float(largest_step(starts).mean())),
        beside(metric, "the strip with the largest", float(steps.max())),
    ]
