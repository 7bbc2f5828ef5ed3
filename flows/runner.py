"""Runs one stage after another through DVC, and keeps what became of each."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from flows import backup, guard, limits, lockfile, records
from flows.graph import Stage, open_repo
from tasks.monitor import clock
from tasks.paths import Paths
from tasks.settings import Params


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
    """What became of a run: a row a stage, and Prefect's id of the flow run, if there was one."""

    names: list[str]
    rows: list[Row]
    seconds: float
    flow_run: str | None

    @property
    def ok(self) -> bool:
        """Whether every stage stands."""
        return all(row.state not in ("Failed", "Stopped") for row in self.rows)


class Work(NamedTuple):
    """What is to be done.

    Attributes:
        names: the experiments asked for.
        stages: the stages asked for, each after those it stands on.
        reasons: of those to be tried, why, by address.
        threads: of the hungriest stage to be tried.
        force: run what is up to date too, and from the start.
        params: the file read in place of params.yaml, if any.
    """

    names: list[str]
    stages: list[Stage]
    reasons: dict[str, list[str]]
    threads: int
    force: bool
    params: Path | None


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


class Runner:
    """Runs stages through DVC, tells of them, and keeps what became of each."""

    def __init__(self, paths: Paths, params: Params, work: Work, hooks: Hooks) -> None:
        self.paths, self.params, self.work, self.hooks = paths, params, work, hooks
        self.stages = {stage.address: stage for stage in work.stages}
        self.rows: dict[str, Row] = {}
        self.flow_run: str | None = None
        self.telling = Lock()

    def run(self, address: str) -> Row:
        """Run a stage if it is to be tried."""
        stage, reasons = self.stages[address], self.work.reasons.get(address)
        if reasons is None:
            self.rows[address] = Row(address, "UpToDate", 0.0, "")
            return self.rows[address]
        with self.telling:
            self.hooks.start(stage, self.flow_run)
        begun = time.monotonic()
        try:
            state, reason = self.attempts(stage, "; ".join(reasons))
        except Exception as error:  # no fault of ours may pass for a stage that was not tried
            state, reason = "Failed", f"{type(error).__name__}: {error}"
        row = Row(address, state, round(time.monotonic() - begun, 2), reason)
        self.rows[address] = row
        with self.telling:
            self.hooks.end(stage, row)
        return row

    def attempts(self, stage: Stage, reason: str) -> tuple[str, str]:
        """Run a stage, and again after a while where it failed by what may pass."""
        for count, wait in enumerate(limits.WAITS, 1):
            try:
                return self.reproduce(stage, reason)
            except Passing as fault:
                with self.telling:
                    self.hooks.say(
                        f"{stage.address}: {fault}; tried again in {clock(wait)} "
                        f"({count} of {len(limits.WAITS)})"
                    )
            time.sleep(wait)
        try:
            return self.reproduce(stage, reason)
        except Passing as fault:
            tried = f" (tried {len(limits.WAITS) + 1} times)" if limits.WAITS else ""
            return "Failed", f"{fault}{tried}"

    def reproduce(self, stage: Stage, reason: str) -> tuple[str, str]:
        """Let DVC run a stage, its outputs protected; return its state and why.

        Raises:
            Passing: it failed by what may pass.
        """
        paths, saved = self.paths, backup.place(self.paths, stage)
        for old in (paths.live, paths.log):
            old(stage.verb, stage.name, stage.part).unlink(missing_ok=True)
        backup.protect(paths, stage)
        records.keep(paths, stage)
        before = age(records.record(paths, stage))
        minutes = self.params.limits.of(stage.verb)
        try:
            with limits.limited(paths, stage, minutes) as watch:
                done = self.ask_dvc(stage)
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
        if age(records.record(paths, stage)) != before:
            return "Ran", reason
        records.follow(paths, stage, guard.mark(paths, self.params, stage))
        return "Restored", reason

    def ask_dvc(self, stage: Stage) -> bool:
        """Reproduce one stage, and keep a copy of dvc.lock; tell whether DVC had to do anything."""
        with open_repo(self.paths, self.work.params) as repo:
            done = repo.reproduce(targets=[stage.address], single_item=True, force=self.work.force)
            with repo.lock:
                lockfile.keep(self.paths)
        return bool(done)

    def table(self) -> list[Row]:
        """Return a row for every stage; those without one were stopped by a failure above."""
        failed = [row.address for row in self.rows.values() if row.state == "Failed"]
        stopped = f"{', '.join(failed)} failed"
        return [
            self.rows.get(address) or Row(address, "Stopped", 0.0, stopped)
            for address in self.stages
        ]


def age(path: Path) -> tuple[int, int] | None:
    """Return what tells one version of a file from another."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


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
        if isinstance(cause, StageCmdFailedError):
            lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
            if str(cause).endswith(limits.KILLED):
                return f"it was killed; if nobody did that, the memory was full ({log})"
            return lines[-1] if lines else str(cause)
    deepest = list(causes(error))[-1]
    return " ".join(str(deepest).split()) or type(deepest).__name__
