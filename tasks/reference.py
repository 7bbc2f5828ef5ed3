"""reference: the features of a data set's real images by a slow network, computed once."""

import numpy as np

from ebm.metrics.features import Inception, extract
from tasks.artefacts import load_arrays, new_folder, save_arrays, write_json
from tasks.device import pick_device
from tasks.evaluate_settings import Reference
from tasks.monitor import Monitor
from tasks.paths import Paths

REVISION = 1

BATCH = 20  # images at once: 0.5 GiB, and a sign of life every few seconds


def run(name: str, part: None, inputs: Reference, paths: Paths, monitor: Monitor) -> None:
    """Write data/reference/DATASET/NETWORK: features.npz and manifest.json.

    features.npz holds `train` and `test`, (N, D) float32 each; manifest.json says which network
    made them, on which device, and the sha256 of its weights.
    """
    network = Inception(
        paths.root / inputs.weights, inputs.sha256, device=pick_device(inputs.device)
    )
    images = {
        split: spread(load_arrays(paths.prepared(inputs.dataset) / f"{split}.npz")["x"], inputs)
        for split in ("train", "test")
    }
    total, before, found = sum(map(len, images.values())), 0, {}
    for split, x in images.items():

        def told(done: int, before: int = before, split: str = split) -> None:
            monitor.progress(before + done, total, f"{split} images")

        found[split] = extract(network, x, BATCH, told).astype(np.float32)
        before += len(x)
    with new_folder(paths.reference(inputs.dataset, inputs.network)) as folder:
        save_arrays(folder / "features.npz", **found)
        manifest = {
            "network": network.name,
            "weights": inputs.weights,
            "sha256": inputs.sha256,
            "device": inputs.device,
            "images": {split: len(x) for split, x in images.items()},
        }
        write_json(folder / "manifest.json", manifest)


def spread(images: np.ndarray, inputs: Reference) -> np.ndarray:
    """Return at most the number of images that the settings name, spread over all of them."""
    count = min(inputs.images, len(images))
    return images[np.arange(count) * len(images) // count]
