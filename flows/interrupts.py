"""Ctrl-C, or `ebm stop`: a run ends soon, whatever waits, and leaves its outputs as they were."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from flows import backup, history
from tasks.paths import Paths

GRACE = 5.0  # seconds that Prefect has to end after Ctrl-C, which ends its server too


@contextmanager
def stoppable() -> Iterator[None]:
    """Let Ctrl-C end the run soon, whatever waits; a run may be killed at any point."""

    def stop(number: int, frame: FrameType | None) -> None:
        last = threading.Timer(GRACE, end_now)
        last.daemon = True
        last.start()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def end_now() -> None:
    """End this process, its stages before it, so that who waits for them puts outputs back."""
    paths = Paths()
    history.note_stopped(paths)
    told, until = set[int](), time.monotonic() + GRACE
    while time.monotonic() < until:
        end_stages(told)
        if not backup.waiting(paths):
            break
        time.sleep(0.05)
    print("ebm: stopped; run it again and it goes on where it was", file=sys.stderr, flush=True)
    os._exit(130)


def end_stages(told: set[int]) -> None:
    """Tell the stages that this process, or a worker of it, has started that a person ends them.

    A terminal's Ctrl-C has reached them already; `ebm stop` tells the run alone.

    Args:
        told: processes that have been told, and need not be again.
    """
    import psutil

    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if process.pid not in told and process.cmdline()[1:3] == ["-m", "tasks"]:
                told.add(process.pid)
                process.send_signal(signal.SIGINT)
