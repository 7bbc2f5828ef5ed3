"""Kills and interruptions of a run and of what it started."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

import psutil

from benchmarks.faults.trial import (
    TRACEBACK,
    Trial,
    finish,
    judged,
    left_behind,
    note,
    training,
)
from benchmarks.sandbox import Sandbox, wait

KILLS = 5  # in one trial: it is killed, run again, killed again, ...

Victims = Callable[[Sandbox, "subprocess.Popen[bytes]"], list[psutil.Process]]


def killed(trial: Trial, victims: Victims, *words: str) -> str:
    """Kill one of some processes, again and again, each time at a random moment of a run.

    A run that comes to its end all the same is judged, and the project forgets it and begins anew.
    One that had ended before its moment is no kill.
    """
    for _ in range(4 * KILLS):
        if len(trial.kills) == KILLS:
            break
        moment = trial.dice.uniform(0.0, trial.seconds)
        run = trial.box.start(*words)
        wait(lambda run=run: run.poll() is not None, moment)
        victim = wait(lambda run=run: run.poll() is not None or victims(trial.box, run))
        with suppress(psutil.NoSuchProcess):  # it has just ended by itself
            if run.poll() is None:
                trial.dice.choice(victim).kill()
                trial.kills.append(moment)
        if wrong := after(trial, run, victims is flow):
            return wrong
    return finish(trial, *words)


def after(trial: Trial, run: "subprocess.Popen[bytes]", whole: bool) -> str:
    """Return what is wrong once a run has ended in which something was killed, itself perhaps."""
    said = trial.box.end(run)
    if said.code == -signal.SIGKILL and whole:
        return left_behind(trial.box)
    if said.code:
        return note(trial, said)
    wrong = judged(trial, said)
    trial.box.forget()
    return wrong


def flow(box: Sandbox, run: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    """Return the process of the run itself."""
    return [psutil.Process(run.pid)]


def stage(box: Sandbox, run: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    """Return the processes of its stages."""
    return box.stages()


def worker(box: Sandbox, run: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    """Return Dask's workers."""
    return box.of(["multiprocessing.spawn", "import", "spawn_main"])


def kill_flow(trial: Trial) -> str:
    """kill -9 of the run; what it started ends with it."""
    return killed(trial, flow)


def kill_stage(trial: Trial) -> str:
    """kill -9 of a stage; the run tries it again, or says that it was killed."""
    return killed(trial, stage)


def kill_worker(trial: Trial) -> str:
    """kill -9 of a Dask worker."""
    words = ("suite", *trial.box.names, "--engine", "dask", "--workers", "1")
    return killed(trial, worker, *words)


def interrupt(trial: Trial, times: int) -> str:
    """Press Ctrl-C while it trains."""
    with training(trial) as run:
        for _ in range(times):
            os.kill(run.pid, signal.SIGINT)
            time.sleep(0.3)
        said = trial.box.end(run)
    if said.code != 130:
        return f"it ended with {said.code}, and not 130"
    if "goes on" not in said.text or TRACEBACK in said.text:
        return f"it does not say how to go on: {said.text[-200:]}"
    trial.heard.append(said.text.strip().splitlines()[-1])
    return left_behind(trial.box) or finish(trial)


def interrupt_once(trial: Trial) -> str:
    """Ctrl-C once."""
    return interrupt(trial, 1)


def interrupt_twice(trial: Trial) -> str:
    """Ctrl-C twice."""
    return interrupt(trial, 2)
