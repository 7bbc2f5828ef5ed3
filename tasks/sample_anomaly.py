"""sample, of experiments that find anomalies: the test part scored by each model judged."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ebm.apply.latent import components
from ebm.latent import log_prior
from ebm.samplers.noise import seed_range
from ebm.stored import load
from tasks.anomaly_settings import SampleAnomalyInputs
from tasks.artefacts import load_arrays, new_folder, save_arrays
from tasks.device import pick_device
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.pictures import sheet

REVISION = 1

BATCH = 500  # items scored at once
SHOWN = 100  # samples pictured
PARTS = ("joint", "error", "prior")  # of a score: all, and its two parts


def run(name: str, part: None, inputs: SampleAnomalyInputs, paths: Paths, monitor: Monitor) -> None:
    """Write samples/NAME/scores.npz, and a sheet of samples in results/NAME/samples.

    The scores are (items,) each, the higher the stranger: STAGE_joint, -log p(x, z) up to a
    constant at the z that is inferred; STAGE_error, the likelihood's part of it; STAGE_prior, the
    prior's; and `components`, the squared error of as many principal components.
    """
    data = paths.prepared(inputs.dataset)
    held, train = (load_arrays(data / f"{of}.npz") for of in ("test", "train"))
    stages = inputs.evaluate.models
    x, found = torch.from_numpy(held["x"]), {"y": held["y"]}
    for place, stage in enumerate(stages):
        learner = load(paths.model(name, stage), pick_device(inputs.device)).learner

        def tell(share: float, place: int = place, stage: str = stage) -> None:
            monitor.progress(round(1000 * (place + share)), 1000 * len(stages), stage)

        for of, values in scores(learner, x, tell).items():
            found[f"{stage}_{of}"] = values
    best = components(torch.from_numpy(train["x"]), learner.settings.latent)
    found["components"] = (best.reconstruct(x) - x).flatten(1).square().sum(1).numpy()
    with new_folder(paths.samples(name)) as folder:
        save_arrays(folder / "scores.npz", **found)
    with new_folder(paths.results(name) / "samples") as folder:
        picture(load(paths.model(name, inputs.final)).learner, inputs.seed, folder)
    monitor.note(pictures=[str(p) for p in sorted((paths.results(name) / "samples").glob("*.png"))])


def scores(learner: Any, x: Tensor, tell: Callable[[float], None]) -> dict[str, np.ndarray]:
    """Return the scores of items x: (N, ...) and their parts, (N,) each, by PARTS."""
    parts = []
    for first in range(0, len(x), BATCH):
        batch = x[first : first + BATCH].to(learner.device)
        z = learner.posterior(batch)
        with torch.no_grad():
            error = -learner.decoder.log_likelihood(batch, z)
            prior = -log_prior(learner.f)(z)
        parts.append(torch.stack([error + prior, error, prior]).cpu())
        tell((first + len(batch)) / len(x))
    return dict(zip(PARTS, torch.cat(parts, 1).numpy(), strict=True))


def picture(learner: Any, seed: int, folder: Path) -> None:
    """Draw a sheet of samples of the prior."""
    images = learner.sample(seed_range(seed, SHOWN))[learner.size][-1]
    sheet(images.clamp(-1, 1).cpu().numpy(), folder / f"grid_{learner.size}.png")
