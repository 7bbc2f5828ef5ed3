"""`ebm stop`: ends what runs in the project as Ctrl-C does, and the schedule that is served."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from flows import history
from flows.hold import Work, at_work
from flows.locks import holder
from flows.results import experiments, pick
from flows.serving import TAG, served
from flows.status import ask
from tasks.paths import Paths

PATIENCE = 100.0  # seconds; a schedule may take 75 for its run, then itself, then its server


def stop(paths: Paths, name: str | None, run_only: bool, say: Callable[[str], None]) -> None:
    """End the run of an experiment, or any; and its place in the schedule, or all of that.

    Only processes that hold this project's own lock files are told to end.

    Raises:
        ValueError: there is no such experiment, and none of that name runs.
        RuntimeError: a process does not end.
    """
    did = False
    if not run_only:
        did = stop_schedule(paths, name, say)
    work = at_work(paths)
    if work and (name is None or name in work.names):
        then = goes_on(paths, work)
        tell(paths.work / "flow.lock", work.pid, signal.SIGINT)
        say(f"The run of {', '.join(work.names)} is stopped{then}.")
        did = True
    elif work and name:
        pick(experiments(paths), name)
        say(f"{', '.join(work.names)} is running, and was left alone; ebm stop ends it.")
    elif not did:
        if name:
            pick(experiments(paths), name)
        say(f"There was nothing to stop{f' of {name}' if name else ''}.")


def stop_schedule(paths: Paths, name: str | None, say: Callable[[str], None]) -> bool:
    """End the schedule, or what it holds of one experiment; tell whether there was any."""
    lock = paths.work / "serve.lock"
    pid = holder(lock)
    if pid is None:
        return False
    asked, port = served(paths)
    if name is not None and name not in asked.names:
        return False
    if name is None or asked.names == [name]:
        work = at_work(paths)
        then = goes_on(paths, work) if work else ""
        tell(lock, pid, signal.SIGTERM)
        say(f"The schedule of {', '.join(asked.names)} is ended.")
        if work and at_work(paths) is None:
            say(f"The run of {', '.join(work.names)} is stopped{then}.")
        return True
    pause(port, name)
    say(f"{name} is taken out of the schedule until the next ebm serve; the others stay.")
    return True


def goes_on(paths: Paths, work: Work) -> str:
    """Say which command goes on with a run, nothing where none does: another begins it anew."""
    for each in reversed(history.runs(paths)):
        if each["pid"] == work.pid and each["state"] == "Running":
            return f"; {each['command']} goes on where it was"
    return ""


def pause(port: int, name: str) -> None:
    """Take one experiment out of the schedule that is served.

    Raises:
        RuntimeError: Prefect's server does not answer.
    """
    wanted = {"deployments": {"tags": {"all_": [TAG]}, "name": {"any_": [name]}}}
    try:
        for each in ask(port, "deployments/filter", wanted):
            ask(port, f"deployments/{each['id']}/pause_deployment", {})
    except OSError as error:
        raise RuntimeError(
            f"Prefect's server at port {port} does not answer ({error}); "
            "ebm stop, without a name, ends the whole schedule"
        ) from None


def tell(lock: Path, pid: int, number: signal.Signals) -> None:
    """Have the holder of a lock end, and wait until it has.

    Raises:
        RuntimeError: it does not.
    """
    if holder(lock) == pid:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    until = time.monotonic() + PATIENCE
    while holder(lock) == pid:
        if time.monotonic() > until:
            raise RuntimeError(
                f"process {pid} was told to end and has not within {PATIENCE:.0f} s; "
                f"kill -9 {pid} ends it, and the next run goes on from its checkpoint"
            )
        time.sleep(0.1)
