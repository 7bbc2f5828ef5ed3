"""Ends a stage that takes longer than its limit, and says which stages may be tried again."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from flows.graph import Stage
from flows.locks import holder
from tasks.passing import PASSING
from tasks.paths import Paths

WAITS = (5.0, 30.0)  # seconds before a stage is tried a second and a third time
LOOK = 0.5  # seconds between looks for the process of a stage that is over its time
GRACE = 10.0  # seconds that it has to end
KILLED = ("exited with -9", "exited with 137")
PASSED = f"exited with {PASSING}"


class Watch:
    """What became of one try of a stage: whether it was ended for its time."""

    def __init__(self, paths: Paths, stage: Stage, minutes: float | None) -> None:
        self.paths, self.stage, self.minutes = paths, stage, minutes
        self.over, self.done = False, threading.Event()
        self.lock = paths.work / "scratch" / stage.name / stage.label / "lock"

    def run(self) -> None:
        """Wait until the stage has ended; end it where its time is over before."""
        if self.minutes is None or self.done.wait(self.minutes * 60):
            return
        number = signal.SIGTERM
        while not self.done.is_set():
            pid = holder(self.lock)  # none while its process starts
            if pid is not None:
                self.over = True
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
                number = signal.SIGKILL
            self.done.wait(LOOK if pid is None else GRACE)

    @property
    def reason(self) -> str:
        """What a person is told of a stage that took too long."""
        home = self.lock.parent
        unit = "minute" if self.minutes == 1 else "minutes"
        goes_on = ": it goes on from its checkpoint" if any(home.glob("*/checkpoint.pt")) else ""
        return (
            f"it took longer than {self.minutes:g} {unit}, which limits.{self.stage.verb} of "
            f"params.yaml allows, and was ended; raise that, or run it again{goes_on}"
        )


@contextmanager
def limited(paths: Paths, stage: Stage, minutes: float | None) -> Iterator[Watch]:
    """Have a stage ended that is still at work after some minutes; None lets it be."""
    watch = Watch(paths, stage, minutes)
    thread = threading.Thread(target=watch.run, name=f"limit of {stage.address}", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.done.set()
        thread.join()


def may_be_tried_again(how: str) -> bool:
    """Tell whether a stage failed by what may pass: the network, a busy machine, a full memory.

    Args:
        how: DVC's words for a command that failed, which end with its exit status.
    """
    return how.endswith((*KILLED, PASSED))
