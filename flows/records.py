"""Records of runs: what .work/runs says of a stage is always of the outputs that stand."""

from pathlib import Path

from flows.graph import Stage
from tasks.artefacts import read_json, write_text
from tasks.paths import Paths


def record(paths: Paths, stage: Stage) -> Path:
    """Return the file of a stage's record."""
    return paths.record(stage.verb, stage.name, stage.part)


def kept(paths: Paths, stage: Stage, mark: str) -> Path:
    """Return the file that keeps the record of a fingerprint."""
    return paths.work / "records" / stage.name / stage.label / f"{mark}.json"


def fingerprint_of(path: Path) -> str | None:
    """Return the fingerprint that a record names."""
    try:
        return str(read_json(path)["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep(paths: Paths, stage: Stage) -> None:
    """Keep a stage's record before it runs again: DVC may restore its outputs one day."""
    path = record(paths, stage)
    if mark := fingerprint_of(path):
        target = kept(paths, stage, mark)
        write_text(target, path.read_text())


def follow(paths: Paths, stage: Stage, mark: str) -> None:
    """Put the record of a fingerprint in place, after DVC has restored the outputs of that run.

    Where none was kept, the stage has no record: better none than that of other outputs.
    """
    path = record(paths, stage)
    if fingerprint_of(path) == mark:
        return
    if kept(paths, stage, mark).exists():
        write_text(path, kept(paths, stage, mark).read_text())
    else:
        path.unlink(missing_ok=True)
