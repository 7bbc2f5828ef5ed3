"""How runs ended: .work/history.json, written as each begins and ends, so a kill shows as such."""

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from flows.work import Outcome
from tasks.artefacts import read_json, write_json
from tasks.paths import Paths
from tasks.scratch import Busy, birth

KEPT = 500  # runs
STOPPED = "stopped; run it again and it goes on where it was"


class Entry:
    """One run from its beginning.

    Attributes:
        state: Running; UpToDate (nothing had changed); Ran; Failed; Stopped (by a person); Skipped
            (the project was held by another run); or, of a process that is gone, Killed.
        text: why, in a sentence.
    """

    def __init__(self, names: Sequence[str], command: str, flow_run: str | None = None) -> None:
        self.flow_run = flow_run or os.environ.get("EBM_FLOW_RUN")  # of a scheduled run, Prefect's
        self.names, self.command = list(names), command
        self.began, self.ended = time.time(), 0.0
        self.state, self.text = "Running", ""

    def end(self, state: str, text: str) -> None:
        """Note how it ended."""
        self.state, self.text, self.ended = state, text, time.time()

    def facts(self) -> dict[str, Any]:
        """Return what the file holds of it."""
        mine = {"pid": os.getpid(), "born": birth(os.getpid())}
        return {**vars(self), "by": "schedule" if self.flow_run else "hand", **mine}


@contextmanager
def kept(paths: Paths, names: Sequence[str], command: str) -> Iterator[Entry]:
    """Keep how a run ends, whatever ends it."""
    entry = Entry(names, command)
    write(paths, entry)
    try:
        yield entry
    except KeyboardInterrupt:
        entry.end("Stopped", STOPPED)
        raise
    except Busy as error:
        entry.end("Skipped", str(error))
        raise
    except Exception as error:
        entry.end("Failed", " ".join(str(error).split()) or type(error).__name__)
        raise
    finally:
        write(paths, entry)


def conclude(entry: Entry, outcome: Outcome) -> None:
    """Note what became of a run's stages."""
    failed = [row for row in outcome.rows if row.state == "Failed"]
    did = [row.address for row in outcome.rows if row.state in ("Ran", "Restored")]
    if failed:
        entry.end("Failed", "; ".join(f"{row.address}: {row.reason}" for row in failed))
    elif did:
        entry.end("Ran", ", ".join(did))
    else:
        entry.end("UpToDate", f"nothing changed, {len(outcome.rows)} stages are up to date")


def write(paths: Paths, entry: Entry) -> None:
    """Put a run into the file, in place of what was known of it."""
    with alone(paths):
        others = [each for each in stored(paths) if key(each) != key(entry.facts())]
        write_json(paths.work / "history.json", [*others, entry.facts()][-KEPT:])


def note_stopped(paths: Paths) -> None:
    """Note that a person stopped what this process runs; it is about to end at once."""
    with alone(paths):
        runs = stored(paths)
        for each in runs:
            if each["pid"] == os.getpid() and each["state"] == "Running":
                each.update(state="Stopped", text=STOPPED, ended=time.time())
        write_json(paths.work / "history.json", runs)


def runs(paths: Paths) -> list[dict[str, Any]]:
    """Return the runs, the oldest first; one whose process is gone was killed."""
    found = stored(paths)
    for each in found:
        if each["state"] == "Running" and (
            each["born"] is None or birth(each["pid"]) != each["born"]
        ):
            each.update(
                state="Killed", text=f"it was killed; {each['command']} goes on where it was"
            )
    return found


def key(facts: dict[str, Any]) -> tuple[Any, ...]:
    """Return what tells one run from another."""
    return facts["pid"], facts["born"], facts["began"]


def stored(paths: Paths) -> list[dict[str, Any]]:
    """Return what the file holds, nothing where it is missing or cut."""
    try:
        return list(read_json(paths.work / "history.json"))
    except (OSError, ValueError):
        return []


@contextmanager
def alone(paths: Paths) -> Iterator[None]:
    """Let one process at a time change the file."""
    paths.work.mkdir(parents=True, exist_ok=True)
    handle = os.open(paths.work / "history.lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
