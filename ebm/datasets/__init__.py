"""Data sets by name: one loader a source, each with its licence and checksum."""

from difflib import get_close_matches
from importlib import import_module
from typing import Any

LOADERS = ("digits",)


def loader(name: str) -> Any:
    """Return the module that loads a source: its SOURCE and its `load(raw)`.

    Raises:
        ValueError: there is none of this name.
    """
    if name not in LOADERS:
        near = get_close_matches(name, LOADERS, 1)
        hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(LOADERS)}"
        raise ValueError(f"there is no data source {name!r}{hint}")
    return import_module(f"ebm.datasets.{name}")
