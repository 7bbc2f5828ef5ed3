"""fetch: bring a source's raw files into data/raw, checked by sha256."""

from typing import Any

from ebm.datasets import loader
from ebm.datasets.source import fetch
from tasks.artefacts import new_folder
from tasks.monitor import Monitor
from tasks.paths import Paths


def run(name: str, part: str | None, inputs: Any, paths: Paths, monitor: Monitor) -> None:
    """Write data/raw/NAME."""
    with new_folder(paths.raw(name)) as folder:
        fetch(loader(name).SOURCE, folder)
