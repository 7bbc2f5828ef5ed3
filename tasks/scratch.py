"""A stage's scratch folder: its checkpoints, its lock, and its end when its parent ends."""

import ctypes
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from ebm.checksum import sha256
from tasks.paths import Paths, label

SHELLS = {"sh", "bash", "dash", "zsh", "fish", "ksh"}


class Busy(RuntimeError):
    """Another process is running this stage."""


class Scratch:
    """The folder .work/scratch/NAME/STAGE/FINGERPRINT, locked while it is open.

    A run that is cut off leaves its checkpoint there, and the next one with the same fingerprint
    goes on from it. It is removed on success, and with every older fingerprint's.

    Raises:
        Busy: a living process holds the lock.
    """

    def __init__(self, paths: Paths, stage: str, name: str, part: str | None, mark: str) -> None:
        self.home = paths.work / "scratch" / name / label(stage, part)
        self.folder, self.fingerprint = self.home / mark, mark
        self.title = f"{label(stage, part)} of {name}"

    def __enter__(self) -> "Scratch":
        self.home.mkdir(parents=True, exist_ok=True)
        self.lock = os.open(self.home / "lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self.lock, 100).decode() or "another process"
            os.close(self.lock)
            raise Busy(f"{self.title} is already being run by {holder}; wait for it") from None
        os.ftruncate(self.lock, 0)
        os.pwrite(self.lock, f"process {os.getpid()}".encode(), 0)
        for old in self.home.iterdir():  # other settings, other data: of no use any more
            if old.is_dir() and old != self.folder:
                shutil.rmtree(old)
        if os.environ.get("EBM_FORCE"):
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(exist_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if kind is None and not os.environ.get("EBM_FLOW"):  # a flow removes it once DVC knows
            shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self.lock)


def fingerprint(inputs: Any, dependencies: Iterable[Path], code: Path) -> str:
    """Return a hash of all that a stage's result depends on.

    Args:
        inputs: the settings it reads.
        dependencies: the files and folders it reads.
        code: the folder of the packages whose REVISIONs count: each one of `ebm` and `tasks`.
    """
    total = hashlib.sha256()
    settings = inputs.model_dump(mode="json") if inputs is not None else {}
    total.update(json.dumps(settings, sort_keys=True).encode())
    for place in dependencies:
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        for file in (f for f in files if f.is_file() and f.name != "fingerprint"):
            total.update(f"{file.relative_to(place.parent)} {sha256(file)}\n".encode())
    for file in sorted(f for package in ("ebm", "tasks") for f in (code / package).rglob("*.py")):
        found = re.search(r"^REVISION = (\d+)", file.read_text(), re.M)
        if found:
            total.update(f"{file.relative_to(code)} {found[1]}\n".encode())
    return total.hexdigest()[:16]


def die_with_parent(asker: int | None = None) -> None:
    """End this process when the one that started it ends, killed or not.

    The kernel's signal serves on Linux; a thread looks as well, since a shell may stand between
    this process and the one that asked for it.

    Args:
        asker: that process, where it is known. It may have ended while this one was still
            importing; then there is nobody to work for.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if asker and asker not in ancestors():
            os.kill(os.getpid(), signal.SIGKILL)
    watched = [os.getppid()]
    if command(watched[0]) in SHELLS:
        watched += [p for p in [parent(watched[0])] if p and command(p) not in SHELLS]
    if watched[-1] == 1:
        return
    births = {pid: birth(pid) for pid in watched}

    def watch() -> None:
        while all(birth(pid) == births[pid] for pid in watched):
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the command, or none where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    except (OSError, IndexError):
        return []


def birth(pid: int) -> str | None:
    """Return a mark of the process's start, None if it is gone or a zombie."""
    fields = stat(pid)
    return fields[19] if fields and fields[0] != "Z" else None


def parent(pid: int) -> int | None:
    """Return the parent's id."""
    fields = stat(pid)
    return int(fields[1]) if fields else None


def ancestors() -> list[int]:
    """Return the ids of the processes above this one, the nearest first."""
    found, above = [], parent(os.getpid())
    while above:
        found.append(above)
        above = parent(above)
    return found


def command(pid: int) -> str:
    """Return the name of the process's program."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
