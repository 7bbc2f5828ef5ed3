"""One run at a time in a project, and what a killed one left is put in order."""

import fcntl
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from flows import backup, lockfile, rwlock
from flows.locks import holder
from tasks.paths import Paths
from tasks.scratch import Busy, birth


class Work(NamedTuple):
    """A run that is at work in the project: its process, experiments, and beginning (1970)."""

    pid: int
    names: list[str]
    since: float


def at_work(paths: Paths) -> Work | None:
    """Return the run that holds the project, None where nothing does."""
    lock = paths.work / "flow.lock"
    pid = holder(lock)
    if pid is None:
        return None
    names = re.search(r"\((.*), since", lock.read_text())
    return Work(pid, names[1].split(", ") if names else [], lock.stat().st_mtime)


@contextmanager
def hold(paths: Paths, names: Sequence[str]) -> Iterator[list[str]]:
    """Hold the project for a run; put in order what a killed one left, and yield what was done.

    The lock goes with the process that holds it, however that ends; its text stays after a kill.

    Raises:
        Busy: another process runs experiments here.
        ValueError: what was left cannot be put in order.
    """
    paths.work.mkdir(parents=True, exist_ok=True)
    handle = os.open(paths.work / "flow.lock", os.O_RDWR | os.O_CREAT)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 1000).decode() or "another process"
            raise Busy(
                f"{holder} is at work in this project; wait for it, or name the experiments "
                "together: ebm run A B"
            ) from None
        before, since = os.read(handle, 1000), time.strftime("%H:%M")
        mark(handle, f"process {os.getpid()} ({', '.join(names)}, since {since})".encode())
        try:
            done = repair(paths, bool(before))
        except BaseException:
            mark(handle, before)  # the next run has still to put it in order
            raise
        try:
            yield done
        except (Busy, ValueError):  # refused, and not cut off: nothing is left to put in order
            os.ftruncate(handle, 0)
            raise
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def mark(handle: int, text: bytes) -> None:
    """Write who holds the lock."""
    os.ftruncate(handle, 0)
    os.pwrite(handle, text, 0)


def repair(paths: Paths, cut_off: bool) -> list[str]:
    """Put in order what a killed run left; say what was done.

    Args:
        cut_off: the run before was killed.
    """
    sweep(paths)
    said = [lockfile.mend(paths, cut_off), rwlock.mend(paths)]
    said += [f"{address}: its outputs are back" for address in backup.recover(paths)]
    return [text for text in said if text]


def sweep(paths: Paths) -> None:
    """Remove the beginnings of files whose writers are gone (`tasks.artefacts.write_text`)."""
    for place in (*paths.root.glob(".*.part"), *paths.work.rglob(".*.part")):
        written_by = re.search(r"\.(\d+)-\d+\.part$", place.name)
        if written_by and birth(int(written_by[1])) is None:
            place.unlink(missing_ok=True)
