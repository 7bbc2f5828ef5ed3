"""What can go wrong from outside, each as a function that does it to a sandbox and looks.

A trial begins with a project that has run nothing, ends with a whole run, and returns what is
wrong with it, an empty text if nothing is. In every trial the last run must end well, leave no
process behind, and write the same bits as a run that was left alone.
"""

import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.sandbox import Said, Sandbox, wait

KILLS = 5  # in one trial: it is killed, run again, killed again, ...
DISK = 800  # MB of the disk that is filled
LEAVE = 30.0  # seconds that what a killed run started has to end by itself
TRACEBACK = "Traceback (most recent call last)"


Victims = Callable[[Sandbox, "subprocess.Popen[bytes]"], list[psutil.Process]]


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
    said = trial.box.run(*words)
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
    plain = " ".join(said.text.split()).replace(f"{trial.box.root}/", "")
    found = re.findall(r"(?:ebm: |failed[:,] |: failed)[^│┃]{10,240}", plain)
    trial.heard.append(found[-1].strip() if found else plain[-200:])
    return ""


def killed(trial: Trial, victims: Victims, *words: str) -> str:
    """Kill one of some processes, again and again, each time at a random moment of a run.

    A run that had ended before its moment is no kill; the project forgets it and begins anew.
    """
    for _ in range(4 * KILLS):
        if len(trial.kills) == KILLS:
            break
        moment = trial.dice.uniform(0.0, trial.seconds)
        run = trial.box.start(*words)
        wait(lambda run=run: run.poll() is not None, moment)
        victim = wait(lambda run=run: run.poll() is not None or victims(trial.box, run))
        if run.poll() is not None:
            if wrong := finish(trial, *words):
                return wrong
            trial.box.forget()
            continue
        trial.kills.append(moment)
        trial.dice.choice(victim).kill()
        if wrong := after_kill(trial, run, victims is flow):
            return wrong
    return finish(trial, *words)


def after_kill(trial: Trial, run: "subprocess.Popen[bytes]", whole: bool) -> str:
    """Return what is wrong once something was killed: the whole run, or a part of it."""
    if whole:
        run.wait()
        return left_behind(trial.box)
    said = trial.box.end(run)
    return note(trial, said) if said.code else ""


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


def torn(trial: Trial, tear: Callable[[bytes], bytes]) -> str:
    """Kill a run, and change its last checkpoints: it goes on from what is whole."""
    with training(trial) as run:
        run.kill()
        run.wait()
    left_behind(trial.box)
    found = checkpoints(trial.box)
    if not found:
        return "no checkpoint is left to tear"
    for path in found:
        path.write_bytes(tear(path.read_bytes()))
    said = trial.box.run()
    if "is damaged" not in said.text and "not a checkpoint" not in said.text:
        return f"the damage is not seen: {said.text[-300:]}"
    trial.heard.extend(line for line in said.text.splitlines() if "checkpoint" in line)
    return ended_well(trial, said) or finish(trial)


def checkpoint_truncated(trial: Trial) -> str:
    """A checkpoint that ends early."""
    share = trial.dice.random()
    return torn(trial, lambda content: content[: int(share * len(content))])


def checkpoint_flipped(trial: Trial) -> str:
    """A checkpoint with one bit flipped."""
    share, bit = trial.dice.random(), trial.dice.randrange(8)

    def flip(content: bytes) -> bytes:
        """Turn one bit over."""
        place = int(share * len(content))
        return content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :]

    return torn(trial, flip)


def two_users(trial: Trial) -> str:
    """Two runs of the same experiment, started at once."""
    both = [trial.box.start() for _ in range(2)]
    ran, turned_away = sorted((trial.box.end(each) for each in both), key=lambda said: said.code)
    if (ran.code, turned_away.code) != (0, 1):
        return f"they ended with {ran.code}, {turned_away.code}: one must run and one be refused"
    refused = turned_away.text
    if "is at work in this project" not in refused or TRACEBACK in refused:
        return f"the second is not told why: {refused[-200:]}"
    trial.heard.append(refused.strip().splitlines()[-1])
    return finish(trial)


def mlflow_locked(trial: Trial) -> str:
    """MLflow's database held by another program: refused before any work."""
    database = sqlite3.connect(trial.box.root / "mlflow.db", isolation_level=None)
    try:
        database.execute("BEGIN EXCLUSIVE")
        said = trial.box.run()
    finally:
        database.close()
    return refused_for_database(trial, said) or finish(trial)


def mlflow_deleted(trial: Trial) -> str:
    """MLflow's database deleted in mid-run."""
    with training(trial) as run:
        (trial.box.root / "mlflow.db").unlink()
        said = trial.box.end(run)
    return ended_well(trial, said) or finish(trial)


def mlflow_corrupt(trial: Trial) -> str:
    """MLflow's database full of nonsense: refused before any work."""
    path = trial.box.root / "mlflow.db"
    path.write_bytes(trial.dice.randbytes(path.stat().st_size))
    return refused_for_database(trial, trial.box.run()) or moved_away(trial, path)


def moved_away(trial: Trial, path: Path) -> str:
    """Do what the refusal advises; return what is wrong then."""
    path.rename(path.with_suffix(".old"))
    return finish(trial)


def refused_for_database(trial: Trial, said: Said) -> str:
    """Return what is wrong with how a run is refused whose database cannot be written."""
    if said.code != 1 or "mlflow.db cannot be written" not in said.text:
        return f"it is not refused before any work: {said.text[-300:]}"
    return note(trial, said)


def ended_well(trial: Trial, said: Said) -> str:
    """Return what is wrong with a run that a fault beside it must not have stopped."""
    warned = [line for line in said.text.splitlines() if "MLflow" in line or "Prefect" in line]
    trial.heard.extend(warned[-1:])
    if TRACEBACK in said.text:
        return f"it printed a traceback: {said.text[-300:]}"
    return f"it ended with {said.code}: {said.text[-300:]}" if said.code else ""


def dvc_locks_left(trial: Trial) -> str:
    """The locks of a DVC that was killed."""
    box = trial.box
    with training(trial) as run:
        shutil.copytree(box.root / ".dvc" / "tmp", box.root / "locks", dirs_exist_ok=True)
        run.kill()
        run.wait()
    left_behind(box)
    shutil.copytree(box.root / "locks", box.root / ".dvc" / "tmp", dirs_exist_ok=True)
    shutil.rmtree(box.root / "locks")
    (box.root / ".dvc" / "tmp" / "lock").write_text("99999\n")
    return finish(trial)


def prefect_stopped(trial: Trial) -> str:
    """The Prefect server that a run talks to ends in mid-run, and another starts."""
    from flows.server import free_port, start, wait_for

    port, log = free_port(), trial.box.root / ".work" / "server.log"
    log.parent.mkdir(exist_ok=True)
    server = start(port, log)
    try:
        wait_for(server, port, log)
        with training(trial, PREFECT_API_URL=f"http://127.0.0.1:{port}/api") as run:
            server.kill()
            server.wait()
            server = start(port, log)
            said = trial.box.end(run)
    finally:
        server.kill()
        server.wait()
    return ended_well(trial, said) or finish(trial)


def clock_jumps(trial: Trial) -> str:
    """A clock that goes back a day, or forth, while a run is at work.

    A surrogate: Python's own time.time is moved in every process of the run.
    """
    days = trial.dice.choice([-1, 1])
    folder = trial.box.root / ".work" / "clock"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(
        "import time\nreal, begun = time.time, time.monotonic()\n"
        f"jump = lambda: {days * 86400} if time.monotonic() - begun > 3 else 0\n"
        "time.time = lambda: real() + jump()\n"
        "time.time_ns = lambda: int(time.time() * 1e9)\n"
    )
    said = trial.box.run(PYTHONPATH=f"{trial.box.root}{os.pathsep}{folder}")
    return ended_well(trial, said) or finish(trial)


def disk_full(trial: Trial) -> str:
    """A disk that is full from the beginning of each stage on, until a person makes room.

    It is a file system in memory, which only root may mount.
    """
    place = trial.box.root.with_suffix(".disk")
    place.mkdir()
    size = f"size={DISK}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(place)], check=True)
    try:
        small = trial._replace(box=trial.box.copy(place / "project"))
        return full_at_each_stage(small, place / "filler") or finish(small)
    finally:
        Sandbox(place / "project", []).remove()
        subprocess.run(["umount", str(place)], check=True)


def full_at_each_stage(trial: Trial, filler: Path) -> str:
    """Fill the disk when a stage begins, for each stage; return what is wrong."""
    for verb in ("prepare", "train", "sample", "evaluate"):
        run = trial.box.start()
        if not wait(lambda verb=verb: trial.box.of(["-m", "tasks", verb])):
            return f"{verb} did not begin"
        fill(filler)
        said = trial.box.end(run)
        filler.unlink()
        if not said.code:
            return f"{verb} ended well on a full disk"
        if wrong := note(trial, said):
            return f"{verb}: {wrong}"
        if "No space left" not in said.text and "disk" not in said.text:
            return f"{verb}: it does not say that the disk is full: {said.text[-300:]}"
    return ""


def fill(path: Path) -> None:
    """Write a file until nothing more can be written."""
    with path.open("wb", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            try:
                while file.write(b"\0" * size) == size:
                    pass
            except OSError:
                continue


FAULTS: dict[str, Callable[[Trial], str]] = {
    fault.__name__: fault
    for fault in (
        kill_flow,
        kill_stage,
        kill_worker,
        interrupt_once,
        interrupt_twice,
        checkpoint_truncated,
        checkpoint_flipped,
        two_users,
        mlflow_locked,
        mlflow_deleted,
        mlflow_corrupt,
        dvc_locks_left,
        prefect_stopped,
        clock_jumps,
        disk_full,
    )
}
