"""fetch: bring a source's raw files into data/raw, checked by sha256."""

from typing import Any

from ebm.datasets import source_of
from ebm.datasets.fetch import fetch
from ebm.datasets.source import Source
from tasks.artefacts import new_folder
from tasks.monitor import Monitor
from tasks.paths import Paths


def run(name: str, part: str | None, inputs: Any, paths: Paths, monitor: Monitor) -> None:
    """Write data/raw/NAME.

    Raises:
        ValueError: the data are the user's own, or are nowhere to be had.
    """
    source = wanted(name)
    with new_folder(paths.raw(name)) as folder:
        fetch(source, folder)


def wanted(name: str) -> Source:
    """Return what is to be fetched.

    Raises:
        ValueError: there is no such source, or its data are the user's own.
    """
    source = source_of(name)
    if not source.files:
        raise ValueError(f"there is nothing to fetch for {name}: its raw files are in the project")
    return source
