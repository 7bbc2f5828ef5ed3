"""sample, of molecules: draw from the trained model, each by its own seed, and picture some.

samples/NAME/samples.npz holds tokens, uint8: `molecules`, (draws, count, L), by z of the prior's
chain; `without_f`, (count, L), by z ~ N(0, I), as if f were 0; `without_z`, (count, L), by z = 0.
The last two have the seeds of the first draw.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ebm.datasets.smiles import texts
from ebm.model import load
from ebm.samplers.noise import seed_range
from tasks.artefacts import new_folder, read_json, save_arrays
from tasks.device import pick_device
from tasks.molecule_pictures import draw_molecules
from tasks.molecules_settings import SampleMoleculesInputs
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.temperatures import temperatures

REVISION = 1

BATCH = 500  # molecules drawn at once; they depend on it to rounding alone


def run(
    name: str, part: None, inputs: SampleMoleculesInputs, paths: Paths, monitor: Monitor
) -> None:
    """Write samples/NAME/samples.npz and the picture of molecules in results/NAME/samples."""
    learner = load(paths.model(name, inputs.final), pick_device(inputs.device)).learner
    asked = inputs.sample
    total, wanted = asked.draws * asked.count, (asked.draws + 2) * asked.count
    ways = {
        "molecules": (total, lambda seeds: learner.draw_prior(seeds)[-1]),
        "without_f": (asked.count, lambda seeds: learner.draw_prior(seeds, steps=0)[-1]),
        "without_z": (asked.count, lambda seeds: torch.zeros(len(seeds), learner.settings.latent)),
    }
    found: dict[str, np.ndarray] = {}
    done = 0
    for of, (count, z_of) in ways.items():
        parts = []
        for first in range(0, count, BATCH):
            seeds = seed_range(inputs.seed, min(BATCH, count - first), first)
            parts.append(drawn(learner, z_of, seeds))
            done += len(seeds)
            monitor.progress(done, wanted, of.replace("_", " "))
        found[of] = np.concatenate(parts)
    found["molecules"] = found["molecules"].reshape(asked.draws, asked.count, -1)
    notes = read_json(paths.prepared(inputs.dataset) / "manifest.json")["notes"]
    with new_folder(paths.samples(name)) as folder:
        save_arrays(folder / "samples.npz", **found)
    with new_folder(paths.results(name) / "samples") as folder:
        first_ones = found["molecules"][0, : asked.shown]
        draw_molecules(texts(first_ones, **notes), folder / "molecules.png")
    monitor.note(temperature=temperatures(learner.settings))
    monitor.note(pictures=[str(paths.results(name) / "samples" / "molecules.png")])


def drawn(
    learner: Any, z_of: Callable[[Sequence[int]], Tensor], seeds: Sequence[int]
) -> np.ndarray:
    """Return the tokens, (N, L) uint8, that z of these seeds decode to."""
    x: Tensor = learner.decode(z_of(seeds).to(learner.device), seeds)
    return x.cpu().numpy().astype(np.uint8)
