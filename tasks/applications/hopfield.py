"""hopfield: does x = s^2 grad f(x) hold where chains end, and at the modes above them?"""

import numpy as np
import torch
from torch import Tensor

from ebm.apply.hopfield import climb, correlation, error, expected, reconstruct
from ebm.learn.parts import at_rest
from tasks.applications.job import Job, Outcome, Rows
from tasks.pictures import sheet
from tasks.scores import beside, row

REVISION = 1

SIDE = 1000  # pixels of the picture's side, about
BETTER = {"correlation": ("higher", 0.0, 1.0), "error": ("lower", 0.0, None)}
PROTOCOL = (
    "Hopfield check: with a Gaussian reference of standard deviation s, a mode of p satisfies "
    "x = s^2 grad f(x); x are samples, and the modes that they climb to with the noise off."
)
ABOUT = {
    "correlation": "Correlation of x and s^2 grad f(x) over an image's pixels, mean over images",
    "error": "|x - s^2 grad f(x)| / |x|, mean over images",
}


def run(job: Job) -> Outcome:
    """Measure both sides of the equation on samples and on modes, and picture them."""
    learner, settings = job.learner, job.settings
    samples = learner.sample(job.seeds(settings.chains))[learner.size][-1]
    job.tell(0.5, "hopfield, samples")
    test = torch.from_numpy(job.test[: settings.chains]).to(learner.device)
    sets = {"samples": samples, "modes": climb(learner, samples, settings.steps)}
    with at_rest(learner.networks):
        sides = {
            name: (x, reconstruct(learner.f, x, learner.settings.reference))
            for name, x in {**sets, "test images": test}.items()
        }
    lines = [each for name in sets for each in sides[name]]
    shown = torch.cat(lines).clamp(-1, 1).cpu().numpy().astype(np.float32)
    sheet(shown, job.folder / "hopfield.png", settings.chains, SIDE)
    job.tell(1.0, "hopfield")
    return Outcome(PROTOCOL, *rows(sides, learner.settings.reference), ["hopfield"])


def rows(sides: dict[str, tuple[Tensor, Tensor]], sd: float) -> tuple[Rows, Rows]:
    """Return the rows of samples and modes, with the test images and what theory says beside."""
    metrics, compared = [], []
    for figure, measure in {"correlation": correlation, "error": error}.items():
        better, floor, ceiling = BETTER[figure]
        for name in ("samples", "modes"):
            x, y = sides[name]
            metric = f"hopfield_{figure}_{name}"
            metrics.append(
                row(
                    metric,
                    [float(measure(x, y).mean())],
                    floor=floor,
                    ceiling=ceiling,
                    better=better,
                    samples=len(x),
                    about=f"{ABOUT[figure]}: {name}.",
                )
            )
            compared.append(
                beside(metric, "test images", float(measure(*sides["test images"]).mean()))
            )
    theory = float(expected(sides["samples"][0], sd).mean())
    compared.append(beside("hopfield_correlation_samples", "where f is linear", theory))
    return metrics, compared
