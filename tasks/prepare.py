"""prepare: split a data set into arrays for training, validation and test, with a manifest."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ebm.checksum import sha256, together
from ebm.datasets import loader
from tasks.artefacts import new_folder, save_arrays, write_json
from tasks.dataset_settings import Dataset
from tasks.inputs import PrepareInputs
from tasks.monitor import Monitor
from tasks.paths import Paths

REVISION = 1

LISTED = 10  # raw files up to this number have a line each in the manifest
NAMED = 3  # files left out that are named where it is said; the manifest names all


def run(name: str, part: str | None, inputs: PrepareInputs, paths: Paths, monitor: Monitor) -> None:
    """Write data/prepared/NAME: train, validation and test.npz, and manifest.json."""
    dataset = inputs.dataset
    module, raw = loader(dataset.source), paths.root / dataset.raw
    if not raw.exists():
        raise ValueError(f"datasets.{name}.raw is {dataset.raw!r}, which does not exist")
    loaded = module.load(raw, dataset.options, monitor.progress)
    images, labels, test, notes, bounds, validation = loaded
    splits = split(len(images), dataset, name, test, validation)
    parts = {part_name: (images[rows], labels[rows]) for part_name, rows in splits.items()}
    if dataset.mirror:
        parts["train"] = mirrored(*parts["train"])
    with new_folder(paths.prepared(name)) as folder:
        for part_name, (x, y) in parts.items():
            save_arrays(folder / f"{part_name}.npz", x=x, y=y)
        source = module.SOURCE
        manifest = {
            "title": source.title,
            "licence": source.licence,
            "credit": source.credit,
            "raw": checksums(raw),
            "shape": list(images.shape[1:]),
            "range": list(bounds),
            "classes": int(labels.max()) + 1,
            "sizes": {part_name: len(x) for part_name, (x, _) in parts.items()},
        }
        write_json(folder / "manifest.json", {**manifest, **({"notes": notes} if notes else {})})
    for sentence in notes.get("mixed", ()):
        monitor.say(sentence)
    if notes.get("left_out"):
        monitor.say(said(notes["left_out"], paths.prepared(name) / "manifest.json"))


def mirrored(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return images (N, C, H, W) and their labels, then the same mirrored left to right."""
    return np.concatenate([x, x[..., ::-1]]), np.concatenate([y, y])


def checksums(raw: Path) -> dict[str, str]:
    """Return the sha256 of each raw file by name; of many, one digest of them together."""
    if raw.is_file():
        return {raw.name: sha256(raw)}
    files = sorted(path for path in raw.rglob("*") if path.is_file())
    digests = {path.relative_to(raw).as_posix(): sha256(path) for path in files}
    return digests if len(digests) <= LISTED else {f"{len(digests)} files": together(digests)}


def said(left_out: Mapping[str, Any], manifest: Path) -> str:
    """Say which files were left out, and where all of them are named."""
    named = "; ".join(f"{name}: {why}" for name, why in list(left_out.items())[:NAMED])
    more = f"; and {len(left_out) - NAMED} more" if len(left_out) > NAMED else ""
    count = f"{len(left_out)} file{'s' if len(left_out) > 1 else ''}"
    return f"{count} left out ({named}{more}); {manifest} names all"


def split(
    count: int,
    dataset: Dataset,
    name: str,
    test: np.ndarray | None = None,
    validation: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Return the rows of each part, without overlap.

    Args:
        count: how many items there are.
        dataset: how many are held out, and the seed.
        name: of the data set, for errors.
        test, validation: rows of the official parts, whose first ones are taken; None is drawn.

    Raises:
        ValueError: more is held out than there is.
    """
    official = {"test": test, "validation": validation}
    given = [rows for rows in official.values() if rows is not None]
    pool = np.setdiff1d(np.arange(count), np.concatenate(given)) if given else np.arange(count)
    held = sum(getattr(dataset, part) for part, rows in official.items() if rows is None)
    if held >= len(pool):
        raise ValueError(
            f"datasets.{name} holds out {held} of {len(pool)} items; leave some to train on"
        )
    order = pool[np.random.default_rng(dataset.seed).permutation(len(pool))]
    parts = {}
    for part, rows in official.items():
        wanted = getattr(dataset, part)
        if rows is not None and len(rows) < wanted:
            raise ValueError(
                f"datasets.{name}.{part} is {wanted}; the official {part} part has {len(rows)}"
            )
        parts[part] = np.sort((order if rows is None else rows)[:wanted])
        order = order[wanted:] if rows is None else order
    return {**parts, "train": np.sort(order)}
