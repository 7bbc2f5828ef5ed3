"""Who holds a lock: told by the file and by the kernel, without a trial."""

import os
import re
import sys
import threading
from pathlib import Path
from typing import Any

from tasks.paths import Paths

PATIENCE = 5.0  # seconds that DVC is waited for without a word


def holder(lock: Path) -> int | None:
    """Return the living process that a lock file names, if it has that very file open.

    A process that came later by the same id has not. The lock itself is not tried, since a trial
    would be in the way of one who takes it.
    """
    try:
        named = re.match(r"(?:process )?\s*(\d+)", lock.read_text())  # the second form is DVC's
        pid, wanted = int(named[1] if named else 0), lock.stat()
    except OSError:
        return None
    try:
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            try:
                found = handle.stat()
            except OSError:  # closed since, or no file
                continue
            if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
                return pid
    except PermissionError:  # another user's process: its files are not shown, but its locks are
        return pid if listed(pid, wanted.st_ino) else None
    except OSError:
        return None
    return None


def listed(pid: int, inode: int) -> bool:
    """Tell whether the kernel lists a process as holding a lock on a file of this number."""
    lines = Path("/proc/locks").read_text().splitlines()
    held = [re.search(r" WRITE (\d+) \S+:(\d+) ", line) for line in lines]
    return any(each is not None and each.groups() == (str(pid), str(inode)) for each in held)


def say_waiting(paths: Paths, lock: Any) -> None:
    """Have it said where another command has DVC's lock for some seconds: it is waited for.

    Args:
        lock: DVC's own, of a repository.
    """
    take = lock.lock

    def look() -> None:
        pid = holder(paths.root / ".dvc" / "tmp" / "lock")
        if pid not in (None, os.getpid()):
            print(f"ebm: DVC is in use by process {pid}; what needs it waits", file=sys.stderr)

    def take_and_say() -> None:
        timer = threading.Timer(PATIENCE, look)
        timer.daemon = True
        timer.start()
        try:
            take()
        finally:
            timer.cancel()

    lock.lock = take_and_say
