"""sample, of molecules: draw from the trained model, each by its own seed, and picture some.

samples/NAME/samples.npz holds tokens, uint8: `molecules`, (draws, count, L), by z of the prior's
chain; `without_f`, (count, L), by z ~ N(0, I), as if f were 0; `without_z`, (count, L), by z = 0;
`cooler_T`, (count, L), by z of the prior's chain, decoded at temperature T. All but the first have
the seeds of the first draw.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ebm.datasets.smiles import texts
from ebm.samplers.noise import seed_range
from ebm.stored import load
from tasks.artefacts import new_folder, read_json, save_arrays
from tasks.device import pick_device
from tasks.molecule_pictures import draw_molecules
from tasks.molecules_settings import SampleMoleculesInputs
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.temperatures import temperatures

REVISION = 1

BATCH = 500  # molecules drawn at once; they depend on it to rounding alone


class Way(NamedTuple):
    """A way to draw: how many in all, z of seeds, and how z is decoded."""

    total: int
    z_of: Callable[[Sequence[int]], Tensor]
    how: dict[str, Any]


def run(
    name: str, part: None, inputs: SampleMoleculesInputs, paths: Paths, monitor: Monitor
) -> None:
    """Write samples/NAME/samples.npz and the picture of molecules in results/NAME/samples."""
    learner = load(paths.model(name, inputs.final), pick_device(inputs.device)).learner
    asked = inputs.sample
    ways = ways_of(learner, asked)
    wanted = sum(way.total for way in ways.values())
    found: dict[str, np.ndarray] = {}
    done = 0
    for of, way in ways.items():
        parts = []
        for first in range(0, way.total, BATCH):
            seeds = seed_range(inputs.seed, min(BATCH, way.total - first), first)
            x = learner.decode(way.z_of(seeds).to(learner.device), seeds, **way.how)
            parts.append(x.cpu().numpy().astype(np.uint8))
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


def ways_of(learner: Any, asked: Any) -> dict[str, Way]:
    """Return by key what is to be drawn."""

    def prior(seeds: Sequence[int], **how: Any) -> Tensor:
        z: Tensor = learner.draw_prior(seeds, **how)[-1]
        return z

    ways = {
        "molecules": Way(asked.draws * asked.count, prior, {}),
        "without_f": Way(asked.count, lambda seeds: prior(seeds, steps=0), {}),
        "without_z": Way(asked.count, lambda seeds: torch.zeros_like(prior(seeds, steps=0)), {}),
    }
    for temperature in asked.cooler:
        ways[f"cooler_{temperature}"] = Way(asked.count, prior, {"temperature": temperature})
    return ways
