"""sample: draw from the trained model, each sample by its own seed, and picture what was drawn."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ebm.samplers.noise import seed_range
from ebm.stored import lineage, load
from tasks.artefacts import new_folder, save_arrays
from tasks.device import pick_device
from tasks.experiment_settings import SampleSettings
from tasks.inputs import SampleInputs
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.pictures import sheet
from tasks.point_pictures import draw_chains, draw_samples
from tasks.temperatures import temperatures

REVISION = 1

BATCH = 250  # samples drawn at once; they depend on it to rounding alone


def run(name: str, part: None, inputs: SampleInputs, paths: Paths, monitor: Monitor) -> None:
    """Write samples/NAME (samples.npz, chains.npz) and the pictures in results/NAME/samples."""
    model = load(paths.model(name, inputs.final), pick_device(inputs.device))
    settings = inputs.sample
    draws: dict[str, list[np.ndarray]] = {}
    total = settings.count * settings.draws
    for first in range(0, total, BATCH):
        seeds = seed_range(inputs.seed, min(BATCH, total - first), first)
        for size, states in model.learner.sample(seeds).items():
            of = key(size, states[-1])
            draws.setdefault(of, []).append(bounded(states[-1], of).numpy())
        monitor.progress(first + len(seeds), total, "samples")
    shape = (settings.draws, settings.count)
    samples = {
        of: np.concatenate(parts).reshape(*shape, *parts[0].shape[1:])
        for of, parts in draws.items()
    }
    shown = seed_range(inputs.seed, min(settings.shown if "points" in samples else 25, total))
    chains = model.learner.sample(shown, keep=settings.keep)
    path = {key(size, states[-1]): torch.stack(states) for size, states in chains.items()}
    kept = {of: bounded(x, of).numpy() for of, x in path.items()}
    with new_folder(paths.samples(name)) as folder:
        save_arrays(folder / "samples.npz", **samples)
        save_arrays(folder / "chains.npz", **kept)
    with new_folder(paths.results(name) / "samples") as folder:
        draw(samples, kept, settings, folder)
    found = [temperatures(stage.settings) for stage in lineage(model.learner)]
    monitor.note(temperature={chain: value for each in found for chain, value in each.items()})
    monitor.note(pictures=[str(p) for p in sorted((paths.results(name) / "samples").glob("*.png"))])


def key(size: int, x: Tensor) -> str:
    """Name the array of images of this size, (N, C, s, s), or of points, (N, D)."""
    return "points" if x.ndim == 2 else f"grid_{size}"


def bounded(x: Tensor, of: str) -> Tensor:
    """Return x on the CPU: images within [-1, 1], points as they are."""
    return x.cpu() if of == "points" else x.cpu().clamp(-1, 1)


def draw(
    samples: dict[str, np.ndarray],
    chains: dict[str, np.ndarray],
    settings: SampleSettings,
    folder: Path,
) -> None:
    """Picture the first draw: sheets of images, or points and some states of their chains."""
    for of, drawn in samples.items():
        if of == "points":
            draw_samples(drawn[0], folder / "points.png")
            draw_chains(chains[of], settings.keep, folder / "chains.png")
        else:
            sheet(drawn[0, : settings.shown], folder / f"{of}.png")
