"""sample: draw from the trained model, each sample by its own seed, and picture the grids."""

import numpy as np
import torch

from ebm.model import load
from ebm.samplers.noise import seed_range
from tasks.artefacts import new_folder, save_arrays
from tasks.device import pick_device
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.pictures import sheet
from tasks.settings import SampleInputs

REVISION = 1

BATCH = 250  # samples drawn at once; they depend on it to rounding alone


def run(name: str, part: None, inputs: SampleInputs, paths: Paths, monitor: Monitor) -> None:
    """Write samples/NAME (samples.npz, chains.npz) and the sheets in results/NAME/samples."""
    model = load(paths.model(name, inputs.final), pick_device(inputs.device))
    settings = inputs.sample
    draws: dict[int, list[np.ndarray]] = {}
    total = settings.count * settings.draws
    for first in range(0, total, BATCH):
        seeds = seed_range(inputs.seed, min(BATCH, total - first), first)
        for size, states in model.learner.sample(seeds).items():
            draws.setdefault(size, []).append(states[-1].cpu().clamp(-1, 1).numpy())
        monitor.progress(first + len(seeds), total, "samples")
    shape = (settings.draws, settings.count)
    samples = {
        f"grid_{size}": np.concatenate(parts).reshape(*shape, *parts[0].shape[1:])
        for size, parts in draws.items()
    }
    shown = seed_range(inputs.seed, min(25, total))
    chains = model.learner.sample(shown, keep=settings.keep)
    kept = {f"grid_{size}": torch.stack(s).cpu().clamp(-1, 1).numpy() for size, s in chains.items()}
    with new_folder(paths.samples(name)) as folder:
        save_arrays(folder / "samples.npz", **samples)
        save_arrays(folder / "chains.npz", **kept)
    with new_folder(paths.results(name) / "samples") as folder:
        for key, images in samples.items():
            sheet(images[0, : settings.shown], folder / f"{key}.png")
    monitor.note(pictures=[str(p) for p in sorted((paths.results(name) / "samples").glob("*.png"))])
