"""One trial of a fault: the project that it is done to, and how its end is judged.

A trial begins with a project that has run nothing, ends with a whole run, and returns what is
wrong with it, an empty text if nothing is. In every trial the last run must end well, leave no
process behind, and write the same bits as a run that was left alone.
"""

import random
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.sandbox import Said, Sandbox, wait

LEAVE = 30.0  # seconds that what a killed run started has to end by itself
TRACEBACK = "Traceback (most recent call last)"


class Trial(NamedTuple):
    """What a fault is done with.

    Attributes:
        box: a project that has run nothing.
        wanted: the checksums of a run that was left alone.
        seconds: that it took.
        dice: for the moments.
        kills: filled with the moments of kills, in seconds from the beginning of a run.
        heard: filled with what the project said of the fault.
    """

    box: Sandbox
    wanted: Mapping[str, str]
    seconds: float
    dice: random.Random
    kills: list[float]
    heard: list[str]


def finish(trial: Trial, *words: str) -> str:
    """Run to the end; return what is wrong then."""
    return judged(trial, trial.box.run(*words))


def judged(trial: Trial, said: Said) -> str:
    """Return what is wrong after a whole run."""
    if said.code:
        return f"the last run ended with {said.code}: {said.text[-300:]}"
    if TRACEBACK in said.text:
        return "the last run printed a traceback"
    found = trial.box.digest()
    other = sorted(p for p in {*found, *trial.wanted} if found.get(p) != trial.wanted.get(p))
    if other:
        return f"other bits than a run left alone: {', '.join(other)}"
    return left_behind(trial.box)


def left_behind(box: Sandbox) -> str:
    """Return which processes still run after a while."""
    if wait(lambda: not box.processes(), LEAVE):
        return ""
    return f"left running: {[' '.join(p.cmdline())[-80:] for p in box.processes()]}"


def note(trial: Trial, said: Said) -> str:
    """Keep the sentence that a failed run says; return what is wrong with how it says it."""
    if TRACEBACK in said.text:
        return "it printed a traceback"
    plain = plainly(trial, said)
    found = re.findall(r"(?:ebm: |failed[:,] |: failed)[^│┃]{10,240}", plain)
    trial.heard.append(found[-1].strip() if found else plain[-200:])
    return ""


def plainly(trial: Trial, said: Said) -> str:
    """Return what a command printed as one line, without the place of the project."""
    return " ".join(said.text.split()).replace(f"{trial.box.root}/", "")


def ended_well(trial: Trial, said: Said) -> str:
    """Return what is wrong with a run that a fault beside it must not have stopped."""
    warned = [line for line in said.text.splitlines() if "MLflow" in line or "Prefect" in line]
    trial.heard.extend(warned[-1:])
    if TRACEBACK in said.text:
        return f"it printed a traceback: {said.text[-300:]}"
    return f"it ended with {said.code}: {said.text[-300:]}" if said.code else ""


@contextmanager
def training(trial: Trial, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a run, and wait until it has written a checkpoint."""
    run = trial.box.start(**environment)
    try:
        if not wait(lambda: checkpoints(trial.box) or run.poll() is not None):
            raise RuntimeError("no checkpoint was written")
        yield run
    finally:
        if run.poll() is None:
            run.kill()
            run.wait()


def checkpoints(box: Sandbox) -> list[Path]:
    """Return the checkpoints of stages that are not done."""
    return sorted((box.root / ".work" / "scratch").rglob("checkpoint.pt"))
