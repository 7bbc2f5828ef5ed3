"""The states that a run can go back to: that of the last checkpoint, and that of the one before."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ebm.checkpoint import follow, read, spare, write
from ebm.health import Verdict
from ebm.processes import gathered, own_part
from ebm.run import Run

REVISION = 1


class Past:
    """What a run can go back to, in memory as on disk, so that one that was cut off goes on alike.

    A run that breaks goes back to the last state; one that breaks again from there, to the one
    before it, since a state may be ill already when it is kept.

    Args:
        run: it is changed: brought to where the checkpoint is, if there is one.
        checkpoint: the file of the last state; that before it lies beside it.

    Raises:
        ValueError: the checkpoint is damaged, or not of this run.
    """

    def __init__(self, run: Run, checkpoint: Path | None) -> None:
        self.run, self.checkpoint = run, checkpoint
        self.before: dict[str, Any] | None = None
        self.kept = bool(checkpoint and checkpoint.exists())  # the first state of all is not
        if checkpoint and self.kept:
            run.resume(checkpoint)
            self.before = beside(run, checkpoint)
        self.last = run.state_dict()
        if self.before and self.before.keys() != self.last.keys():  # of another run
            self.before = None

    def is_due(self) -> bool:
        """Tell whether it is time for a checkpoint."""
        run, since = self.run, self.run.step - self.last["step"]
        return bool(since >= run.settings.checkpoint_every or run.step == run.settings.updates)

    def keep(self) -> None:
        """Keep the state of now; the last one is the one before from now on."""
        self.before = self.last if self.kept else None
        self.put(follow)

    def roll_back(self, verdict: Verdict) -> None:
        """Take a broken run back, and keep what it goes on from in the place of the last state.

        Raises:
            Diverged: the settings allow no more rollbacks.
        """
        events = self.run.events
        again = 0 < len(events) < self.run.settings.rollbacks  # else it is given up, at the last
        again = again and events[-1]["back_to"] == self.last["step"]
        self.run.roll_back((again and self.before) or self.last, verdict)
        self.put(write)

    def put(self, how: Callable[[Path, dict[str, Any]], None]) -> None:
        """Take the state of now for the last one, and write it."""
        self.last, self.kept = self.run.state_dict(), True
        if self.checkpoint:
            whole = gathered(self.run.processes, self.last)
            if self.run.processes.rank == 0:
                how(self.checkpoint, whole)


def beside(run: Run, checkpoint: Path) -> dict[str, Any] | None:
    """Return the state before the last one, None where it is not there, damaged or another's."""
    try:
        return own_part(run.processes, read(spare(checkpoint)))
    except (FileNotFoundError, KeyError, ValueError):
        return None
