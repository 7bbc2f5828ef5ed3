"""`ebm clean`: remove what only running stages need, of those that do not run."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ebm.datasets import FETCHED
from flows import history
from flows.hold import at_work
from tasks.paths import Paths
from tasks.refusals import pick
from tasks.settings import read

SUFFIXES = {"logs": ".log", "live": ".json", "figures": ".jsonl", "broken": ".csv"}


class Freed(NamedTuple):
    """What was removed, in bytes by folder, and which experiments and stages run: they stay."""

    bytes: dict[str, int]
    running: list[str]


def clean(paths: Paths, names: list[str] | None = None) -> Freed:
    """Remove scratch, logs, live files and figures of stages that do not run.

    Results, data, models, records and what MLflow is still to be told are never touched.

    Args:
        names: experiments, data sets and references; None is all.

    Raises:
        SettingsError: there is none of a name, and none left anything.
    """
    for name in names or []:
        if not stages(paths, [name]):
            known(paths, name)
    freed: dict[str, int] = {}
    left, working = stages(paths, names), experiments_at_work(paths)
    running = sorted({name for name, _ in left if name in working})
    for name, label in left:
        if name in running:
            continue
        with idle(paths.work / "scratch" / name / label) as free:
            if not free:
                running.append(f"{name} {label}")
                continue
            for kind, places in files(paths, name, label).items():
                freed[kind] = freed.get(kind, 0) + sum(remove(place) for place in places)
    return Freed({kind: size for kind, size in freed.items() if size}, running)


def experiments_at_work(paths: Paths) -> list[str]:
    """Return those of the run that holds the project.

    Between two tries of a stage, and before its turn, no lock of its own tells of it.
    """
    work = at_work(paths)
    if work is None:
        return []
    runs = [each for each in history.runs(paths) if each["pid"] == work.pid]
    names = [name for each in runs if each["state"] == "Running" for name in each["names"]]
    return [*work.names, *names]  # of a suite, the lock has the words alone


def known(paths: Paths, name: str) -> None:
    """See that params.yaml or the sources have a name."""
    params = read(paths.params)
    every = {**params.experiments, **params.datasets, **params.references}
    pick({**every, **dict.fromkeys(FETCHED)}, name, "experiment or data set")


def stages(paths: Paths, names: list[str] | None) -> list[tuple[str, str]]:
    """Return the (name, label) of every stage that left something."""
    found: set[tuple[str, str]] = set()
    for kind in ("scratch", *SUFFIXES):
        for place in (paths.work / kind).glob("*/[!.]*"):
            label = place.name.removesuffix(SUFFIXES.get(kind, ""))
            found.add((place.parent.name, f"train-{label}" if kind == "broken" else label))
    return sorted((name, label) for name, label in found if names is None or name in names)


def files(paths: Paths, name: str, label: str) -> dict[str, list[Path]]:
    """Return what a stage that does not run can do without, by kind; the lock stays."""
    scratch = paths.work / "scratch" / name / label
    places = {"scratch": [p for p in scratch.glob("*") if p.name != "lock"]}
    for kind, suffix in SUFFIXES.items():
        own = label.removeprefix("train-") if kind == "broken" else label
        places[kind] = [paths.work / kind / name / f"{own}{suffix}"]
        if kind == "broken":
            places[kind].append(paths.work / kind / name / own)  # the post-mortem page
    if any((paths.work / "replay").glob(f"{name}--{label}--*")):
        del places["figures"]  # MLflow has still to be told of them
    return places


@contextmanager
def idle(scratch: Path) -> Iterator[bool]:
    """Hold a stage's lock; False where a living process holds it."""
    lock = scratch / "lock"
    if not lock.exists():
        yield True
        return
    handle = os.open(lock, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(handle)


def remove(place: Path) -> int:
    """Remove a file or a folder and return its bytes."""
    if not place.exists():
        return 0
    inside = [p for p in place.rglob("*") if p.is_file()] if place.is_dir() else [place]
    size = sum(p.stat().st_size for p in inside)
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    return size


def size_text(count: int) -> str:
    """Say a number of bytes: 812 B, 1.2 MB."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
