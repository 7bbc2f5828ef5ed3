"""reference: the features of a data set's real images by a slow network, computed once."""

from typing import NamedTuple

import numpy as np

from ebm.metrics.efficientnet import EfficientNet
from ebm.metrics.features import Inception, extract
from tasks.artefacts import load_arrays, new_folder, save_arrays, write_json
from tasks.device import pick_device
from tasks.evaluate_settings import Reference
from tasks.monitor import Monitor
from tasks.paths import Paths

REVISION = 2


class Kind(NamedTuple):
    """How a network is used.

    Attributes:
        network: its class.
        splits: those it is shown: of Inception what a distance needs, of EfficientNet all.
        batch: images at once: at most 0.5 GiB, and a sign of life every few seconds.
    """

    network: type[Inception] | type[EfficientNet]
    splits: tuple[str, ...]
    batch: int


KINDS = {
    "inception": Kind(Inception, ("train", "test"), 20),
    "efficientnet": Kind(EfficientNet, ("train", "validation", "test"), 50),
}


def run(name: str, part: None, inputs: Reference, paths: Paths, monitor: Monitor) -> None:
    """Write data/reference/DATASET/NETWORK: features.npz and manifest.json.

    features.npz holds by split the features, `train` and `test` at least, (N, D) float32 each, and
    which images they are of, `train_rows` and so on, (N,); manifest.json says which network made
    them, on which device, the sha256 of its weights, and of how many images the splits had.
    """
    kind = KINDS[inputs.network]
    network = kind.network(
        paths.root / inputs.weights, inputs.sha256, device=pick_device(inputs.device)
    )
    splits = {
        split: load_arrays(paths.prepared(inputs.dataset) / f"{split}.npz")["x"]
        for split in kind.splits
    }
    rows = {split: spread(len(x), most(split, inputs)) for split, x in splits.items()}
    total, before, found = sum(map(len, rows.values())), 0, {}
    for split, x in splits.items():

        def told(done: int, before: int = before, split: str = split) -> None:
            monitor.progress(before + done, total, f"{split} images")

        found[split] = extract(network, x[rows[split]], kind.batch, told).astype(np.float32)
        before += len(rows[split])
    with new_folder(paths.reference(inputs.dataset, inputs.network)) as folder:
        marks = {f"{split}_rows": chosen for split, chosen in rows.items()}
        save_arrays(folder / "features.npz", **found, **marks)
        manifest = {
            "network": network.name,
            "weights": inputs.weights,
            "sha256": inputs.sha256,
            "device": inputs.device,
            "images": {split: len(chosen) for split, chosen in rows.items()},
            "of": {split: len(x) for split, x in splits.items()},
        }
        write_json(folder / "manifest.json", manifest)


def most(split: str, inputs: Reference) -> int:
    """Return how many images of a split the settings allow."""
    if split == "train" and inputs.training is not None:
        return min(inputs.images, inputs.training)
    return inputs.images


def spread(total: int, most: int) -> np.ndarray:
    """Return at most so many of the rows 0..total - 1, spread over all of them."""
    count = min(most, total)
    return np.arange(count) * total // max(1, count)
