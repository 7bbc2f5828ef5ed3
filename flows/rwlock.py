"""DVC's list of who reads and writes which files, put in order after a kill."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from tasks.artefacts import write_json
from tasks.paths import Paths

TICK = 1.0  # seconds by which the clocks of files and of processes may differ


def mend(paths: Paths) -> str | None:
    """Mend the list where a kill has cut it, or is still in it; say so.

    DVC drops those that are gone, but waits for one whose process id has been given to another.
    That other one began after the list was written.
    """
    path = paths.root / ".dvc" / "tmp" / "rwlock"
    try:
        written, found = path.stat().st_mtime, json.loads(path.read_text())
        others = {pid for pid in named(found) if began_after(pid, written)}
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError):
        path.unlink()  # DVC makes a new one
        return f"{path} was cut by a kill and is removed"
    if not others:
        return None
    from dvc.lock import LockError

    try:
        with guarded(path):
            write_json(path, without(json.loads(path.read_text()), others))
    except (LockError, ValueError):  # another command of DVC writes it now
        return None
    return f"{path} named a killed process whose id is another's now; it is left out"


def guarded(path: Path) -> Any:
    """Return the lock under which DVC itself changes its list."""
    from dvc.lock import make_lock

    return make_lock(f"{path}.lock", tmp_dir=str(path.parent))


def named(found: dict[str, Any]) -> Iterator[int]:
    """Yield the process ids of a list."""
    yield from (each["pid"] for each in found.get("write", {}).values())
    yield from (each["pid"] for readers in found.get("read", {}).values() for each in readers)


def without(found: dict[str, Any], others: set[int]) -> dict[str, Any]:
    """Return a list without some processes."""
    writes, reads = found.get("write", {}), found.get("read", {})
    readers = {p: [e for e in all_of if e["pid"] not in others] for p, all_of in reads.items()}
    return {
        "write": {path: each for path, each in writes.items() if each["pid"] not in others},
        "read": {path: left for path, left in readers.items() if left},
    }


def began_after(pid: int, moment: float) -> bool:
    """Tell whether a process lives that has begun after a moment (seconds since 1970).

    A command of DVC or of ours never counts as one: a clock that was set may tell so of them.
    """
    try:
        process = psutil.Process(pid)
        ours = {"dvc", "ebm", "flows"} & {Path(word).name for word in process.cmdline()[:4]}
        return not ours and process.create_time() > moment + TICK
    except psutil.Error:
        return False
