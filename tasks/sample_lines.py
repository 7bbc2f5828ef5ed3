"""Samples that are no pictures, a line each: points as rows of a table, molecules as SMILES."""

from collections.abc import Callable
from pathlib import Path

from ebm.datasets.smiles import texts
from ebm.metrics.molecules import canonical
from ebm.model import Model
from tasks.artefacts import read_json, write_text
from tasks.paths import Paths
from tasks.settings import read


def write_points(model: Model, count: int, seed: int, path: Path, name: str, paths: Paths) -> str:
    """Write a line of numbers for each sample; return what to say of them."""
    rows = model.sample(count, seed).tolist()
    write_text(path, "".join(",".join(f"{value:.6g}" for value in row) + "\n" for row in rows))
    return f"{count} points, a line each"


def write_molecules(
    model: Model, count: int, seed: int, path: Path, name: str, paths: Paths
) -> str:
    """Write a line for each sample as it was drawn, valid or not; return what to say of them."""
    dataset = read(paths.params).experiments[name].dataset
    notes = read_json(paths.prepared(dataset) / "manifest.json")["notes"]
    smiles = texts(model.sample(count, seed).tolist(), **notes)
    write_text(path, "".join(f"{each}\n" for each in smiles))
    valid = sum(each is not None for each in canonical(smiles))
    return f"{count} strings as they were drawn, {valid} of them molecules by RDKit"


WRITERS: dict[str, Callable[..., str]] = {"points": write_points, "molecules": write_molecules}
