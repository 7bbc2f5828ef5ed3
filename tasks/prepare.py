"""prepare: split a data set into arrays for training, validation and test, with a manifest."""

import numpy as np

from ebm.datasets import loader
from ebm.datasets.source import sha256
from tasks.artefacts import new_folder, save_arrays, write_json
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.settings import Dataset, PrepareInputs

REVISION = 1


def run(name: str, part: str | None, inputs: PrepareInputs, paths: Paths, monitor: Monitor) -> None:
    """Write data/prepared/NAME: train, validation and test.npz, and manifest.json."""
    dataset = inputs.dataset
    module, raw = loader(dataset.source), paths.root / dataset.raw
    if not raw.exists():
        raise ValueError(f"datasets.{name}.raw is {dataset.raw!r}, which does not exist")
    images, labels = module.load(raw)
    splits = split(len(images), dataset, name)
    with new_folder(paths.prepared(name)) as folder:
        for part_name, rows in splits.items():
            save_arrays(folder / f"{part_name}.npz", x=images[rows], y=labels[rows])
        source = module.SOURCE
        files = sorted(p for p in (raw.rglob("*") if raw.is_dir() else [raw]) if p.is_file())
        manifest = {
            "title": source.title,
            "licence": source.licence,
            "credit": source.credit,
            "raw": {file.name: sha256(file) for file in files},
            "shape": list(images.shape[1:]),
            "range": [-1.0, 1.0],
            "classes": int(labels.max()) + 1,
            "sizes": {part_name: len(rows) for part_name, rows in splits.items()},
        }
        write_json(folder / "manifest.json", manifest)


def split(count: int, dataset: Dataset, name: str) -> dict[str, np.ndarray]:
    """Return the rows of each part, drawn without overlap."""
    held = dataset.validation + dataset.test
    if held >= count:
        raise ValueError(
            f"datasets.{name} holds out {held} of {count} items; leave some to train on"
        )
    order = np.random.default_rng(dataset.seed).permutation(count)
    return {
        "test": np.sort(order[: dataset.test]),
        "validation": np.sort(order[dataset.test : held]),
        "train": np.sort(order[held:]),
    }
