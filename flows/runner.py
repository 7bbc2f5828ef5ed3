"""Runs a stage through DVC, in this process or in a worker's, and says what became of it."""

import errno
import shutil
import time
from collections.abc import Callable, Iterator

from flows import backup, guard, limits, lockfile, records
from flows.graph import Stage, open_repo
from flows.work import Order, Row
from tasks import settings
from tasks.artefacts import age
from tasks.monitor import clock
from tasks.paths import Paths
from tasks.scratch import Busy

FULL = "the disk is full; free some space and run it again"


class Passing(RuntimeError):
    """A stage failed by what may pass: the network, a busy machine, a full memory."""


def silent(text: str) -> None:
    """Say nothing: the worker of a cluster has nobody who listens."""


def carry(order: Order, say: Callable[[str], None] = silent) -> Row:
    """Run a stage if it is to be tried."""
    if order.refused:
        return Row(order.address, "Failed", 0.0, order.refused)
    if order.reasons is None:
        return Row(order.address, "UpToDate", 0.0, "")
    begun = time.monotonic()
    try:
        state, reason = attempts(order, say)
    except Exception as error:  # no fault of ours may pass for a stage that was not tried
        state, reason = "Failed", why(Paths(order.root), order.stage, error)
    return Row(order.address, state, round(time.monotonic() - begun, 2), reason)


def attempts(order: Order, say: Callable[[str], None]) -> tuple[str, str]:
    """Run a stage, and again after a while where it failed by what may pass."""
    for count, wait in enumerate(limits.WAITS, 1):
        try:
            return reproduce(order)
        except Passing as fault:
            say(
                f"{order.address}: {fault}; tried again in {clock(wait)} "
                f"({count} of {len(limits.WAITS)})"
            )
        time.sleep(wait)
    try:
        return reproduce(order)
    except Passing as fault:
        tried = f" (tried {len(limits.WAITS) + 1} times)" if limits.WAITS else ""
        return "Failed", f"{fault}{tried}"


def reproduce(order: Order) -> tuple[str, str]:
    """Let DVC run a stage, its outputs protected; return its state and why.

    Raises:
        Passing: it failed by what may pass.
    """
    paths, stage = Paths(order.root), order.stage
    try:
        guard.idle(paths, stage)
    except Busy as error:
        return "Failed", str(error)
    saved = backup.place(paths, stage)
    for old in (paths.live, paths.log):
        old(stage.verb, stage.name, stage.part).unlink(missing_ok=True)
    backup.mend(paths, saved)  # of a worker that was killed at it
    backup.protect(paths, stage)
    records.keep(paths, stage)
    before = age(records.record(paths, stage))
    read = settings.read(order.params or paths.params)
    try:
        with limits.limited(paths, stage, read.limits.of(stage.verb)) as watch:
            done = ask_dvc(paths, order)
    except BaseException as error:
        if blocked(error):
            backup.drop(saved)  # another process writes these outputs: they are its now
        else:
            backup.restore(paths, saved)
        if not isinstance(error, Exception):
            raise
        if watch.over:
            return "Failed", watch.reason
        reason = why(paths, stage, error)
        if any(limits.may_be_tried_again(str(cause)) for cause in causes(error)):
            raise Passing(reason) from None
        return "Failed", reason
    backup.drop(saved)
    forget_checkpoints(paths, stage)
    if not done:
        return "UpToDate", ""
    reason = "; ".join(order.reasons or [])
    if age(records.record(paths, stage)) != before:
        return "Ran", reason
    records.follow(paths, stage, guard.mark(paths, read, stage))
    return "Restored", reason


def ask_dvc(paths: Paths, order: Order) -> bool:
    """Reproduce one stage, and keep a copy of dvc.lock; tell whether DVC had to do anything."""
    with open_repo(paths, order.params) as repo:
        done = repo.reproduce(
            targets=[order.address],
            single_item=True,
            force=order.force,
            run_env=order.environment,
        )
        with repo.lock:
            lockfile.keep(paths)
    return bool(done)


def forget_checkpoints(paths: Paths, stage: Stage) -> None:
    """Remove the checkpoints of a stage whose result is in dvc.lock."""
    for folder in (paths.work / "scratch" / stage.name / stage.label).glob("*"):
        if folder.is_dir():
            shutil.rmtree(folder, ignore_errors=True)


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those it came from."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__


def interrupted(error: BaseException) -> bool:
    """Tell whether a person ended the run: Prefect may break on the way out of Ctrl-C."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, KeyboardInterrupt):
        found = found.__cause__ or found.__context__
    return found is not None


def blocked(error: BaseException) -> bool:
    """Tell whether DVC found the stage's files in use by another process."""
    from dvc.lock import LockError

    return any(isinstance(cause, LockError) for cause in causes(error))


def why(paths: Paths, stage: Stage, error: BaseException) -> str:
    """Say why a stage failed: what it printed last, or what DVC says."""
    from dvc.stage.exceptions import StageCmdFailedError

    log = paths.log(stage.verb, stage.name, stage.part)
    for cause in causes(error):
        if isinstance(cause, OSError) and cause.errno == errno.ENOSPC:
            return FULL
        if isinstance(cause, StageCmdFailedError):
            lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
            if str(cause).endswith(limits.KILLED):
                return f"it was killed; if nobody did that, the memory was full ({log})"
            if not lines and guard.full(paths):  # so full that it could not even say so
                return FULL
            return lines[-1] if lines else str(cause)
    deepest = list(causes(error))[-1]
    return " ".join(str(deepest).split()) or type(deepest).__name__
