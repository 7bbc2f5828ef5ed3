"""Runs a stage through DVC, in this process or in a worker's, and says what became of it."""

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from flows import backup, guard, limits, lockfile, records
from flows.graph import Stage, open_repo
from tasks import settings
from tasks.artefacts import age
from tasks.monitor import clock
from tasks.paths import Paths
from tasks.scratch import Busy

ENGINES = ("threads", "dask")
FULL = "the disk is full; free some space and run it again"


class Row(NamedTuple):
    """What became of a stage.

    Attributes:
        address: DVC's name of it.
        state: Ran; Restored (DVC had this result in its cache); UpToDate; Failed; or Stopped
            (one that it stands on failed).
        seconds: how long it took.
        reason: why it ran, failed or stopped.
    """

    address: str
    state: str
    seconds: float
    reason: str


class Outcome(NamedTuple):
    """What became of a run.

    Attributes:
        names: the experiments asked for.
        rows: what became of each stage.
        seconds: how long all took.
        flow_run: Prefect's id of the flow run, if there was one.
        needs: the stages that an experiment needs, by its name; all where it is not there.
    """

    names: list[str]
    rows: list[Row]
    seconds: float
    flow_run: str | None
    needs: Mapping[str, Sequence[str]] = {}

    @property
    def ok(self) -> bool:
        """Whether every stage stands."""
        return all(row.state not in ("Failed", "Stopped") for row in self.rows)

    def of(self, name: str) -> "Outcome":
        """Return what became of the stages that one experiment needs."""
        wanted = self.needs.get(name)
        rows = [row for row in self.rows if wanted is None or row.address in wanted]
        return self._replace(names=[name], rows=rows)


class Manner(NamedTuple):
    """How stages are run.

    Attributes:
        title: of the flow run; the names of the experiments if None.
        go_on: what cannot be run is left, with its reason, and all else runs; otherwise nothing
            is begun.
        workers: stages at once, at the most; None is as many as the cores allow.
        engine: one of ENGINES.
    """

    title: str | None = None
    go_on: bool = False
    workers: int | None = None
    engine: str = "threads"


class Work(NamedTuple):
    """What is to be done.

    Attributes:
        names: the experiments asked for.
        stages: the stages asked for, each after those it stands on.
        reasons: of those to be tried, why, by address.
        force: run what is up to date too, and from the start.
        params: the file read in place of params.yaml, if any.
        needs: the stages that each experiment needs.
        refused: of those that cannot be run, why; what follows them is stopped.
        manner: how they are run.
    """

    names: list[str]
    stages: list[Stage]
    reasons: dict[str, list[str]]
    force: bool
    params: Path | None
    needs: dict[str, list[str]]
    refused: dict[str, str]
    manner: Manner


class Hooks(NamedTuple):
    """Who is told, in one thread at a time.

    Attributes:
        plan: what will be done, before it begins.
        start: a stage begins; with Prefect's id of the flow run.
        end: a stage has ended; with its state and reason.
        after: all has ended, dvc.lock is written, the project is still held.
        say: what was repaired, in a line.
    """

    plan: Callable[[Work], None] = lambda work: None
    start: Callable[[Stage, str | None], None] = lambda stage, flow_run: None
    end: Callable[[Stage, Row], None] = lambda stage, row: None
    after: Callable[[Outcome], None] = lambda outcome: None
    say: Callable[[str], None] = lambda text: None


class Passing(RuntimeError):
    """A stage failed by what may pass: the network, a busy machine, a full memory."""


class Order(NamedTuple):
    """A stage to be run, and all that has to be known of it; it can be sent to another process.

    Attributes:
        root: the project's folder, absolute.
        stage: the stage.
        reasons: why it is run; None where it is up to date.
        refused: why it cannot be run.
        force: run it from the start.
        params: the file read in place of params.yaml, if any.
        gpus: the GPUs that it may see, as CUDA_VISIBLE_DEVICES names them; None is all.
    """

    root: Path
    stage: Stage
    reasons: list[str] | None
    refused: str | None = None
    force: bool = False
    params: Path | None = None
    gpus: str | None = None

    @property
    def address(self) -> str:
        """DVC's name of the stage."""
        return self.stage.address

    @property
    def environment(self) -> dict[str, str]:
        """What the stage's process is told."""
        told = {
            "EBM_FLOW": str(os.getpid()),
            "EBM_FORCE": "1" if self.force else "",
            "EBM_PARAMS": str(self.params) if self.params else "",
        }
        return {**told, "CUDA_VISIBLE_DEVICES": self.gpus} if self.gpus else told


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
