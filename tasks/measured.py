"""The files that hold an experiment's figures, and their checksums: whose figures are these?"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.paths import Paths

FILES = ("metrics.json", "classify.json", "apply.json")


def checksums(paths: Paths, name: str) -> dict[str, str]:
    """Return the sha256 of each file of figures that is there."""
    places = [paths.results(name) / file for file in FILES]
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in places if p.is_file()}


def strangers(run: Mapping[str, Any], found: Mapping[str, str]) -> list[str]:
    """Return the files that do not belong to a run.

    Args:
        run: the content of run.json; one without `figures` vouches for every file.
        found: what `checksums` gives.
    """
    if not run:
        return list(found)
    known = run.get("figures", found)
    return [file for file, mark in found.items() if known.get(file) != mark]


def attack_names(norm: str, sizes: Sequence[float]) -> list[str]:
    """Return the names of the metrics of attacks: classifier_accuracy_l2_0_5 and so on."""
    return [f"classifier_accuracy_{norm}_{f'{size:g}'.replace('.', '_')}" for size in sizes]
