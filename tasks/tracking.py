"""MLflow, told by the flow's process: one parent run a flow, one child run a stage.

A stage writes its figures and its record to files, and knows nothing of MLflow. A thread beside
the flow reads them while the stage runs. Every stage has a folder in .work/replay from its start
until MLflow knows all of it, so whatever was not told is told by the next flow.
"""

import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tasks import lineage
from tasks.inputs import inputs
from tasks.mlflow_store import Store, check, installed
from tasks.paths import Paths
from tasks.settings import Params
from tasks.telling import Teller
from tasks.tracked import Job, leftovers

INTERVAL = 10.0  # seconds between looks at the figures of running stages
ASIDE = ("(raised as a result of", "(Background on")  # SQLAlchemy's, before what went wrong
PATIENCE = 120.0  # seconds that the end of a flow waits for MLflow


def say_to_stderr(text: str) -> None:
    """Print a line for the person who waits."""
    print(text, file=sys.stderr)


class Tracker:
    """Tells MLflow of a flow and its stages, and never stops either.

    Args:
        paths: the project's folders; the database is <project>/mlflow.db.
        params: the settings of this flow, overrides included.
        title: name of the parent run.
        command: what the person typed.
        say: takes a line for the person who waits.
        open_store: replaced in tests.

    Raises:
        Broken: the database cannot be used. After that nothing is raised: the first failure is
            said once, and what could not be told is kept in .work/replay.

    Example, with a database that takes nothing:

        >>> from tempfile import TemporaryDirectory
        >>> def full(root: Path) -> None:
        ...     raise OSError("the disk is full")
        >>> params = Params(datasets={}, experiments={})
        >>> with TemporaryDirectory() as root:  # doctest: +ELLIPSIS
        ...     paths = Paths(Path(root))
        ...     with Tracker(paths, params, "digits", "ebm run", print, full) as tracker:
        ...         tracker.catch_up()
        ...         tracker.stage_started("fetch@digits", "fetch", "digits", None)
        ...         tracker.stage_ended("fetch@digits", "Ran")
        MLflow cannot be told (the disk is full); work goes on, and the figures are kept in ...
    """

    def __init__(
        self,
        paths: Paths,
        params: Params,
        title: str,
        command: str,
        say: Callable[[str], None] = say_to_stderr,
        open_store: Callable[[Path], Any] = Store,
    ) -> None:
        self.paths, self.params, self.say = paths, params, say
        self.on, self.failed = installed(), False
        self.broken: str | None = None
        self.jobs: dict[str, Job] = {}
        self.late: list[Job] = []
        self.events: queue.Queue[tuple[str, Job | None]] = queue.Queue()
        self.thread: threading.Thread | None = None
        if not self.on:
            self.say("MLflow is not installed, so this run is not tracked; pip install mlflow")
            return
        check(paths.root)
        self.tags = {
            "git.commit": lineage.commit(paths.root),
            "git.dirty": str(lineage.dirty(paths.root)),
            "ebm.command": command,
        }
        self.teller = Teller(paths, params, title, self.tags, open_store)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.failed |= kind is not None
        self.close()

    def catch_up(self) -> None:
        """Take on what earlier flows could not tell; returns at once.

        For a flow that holds the project: another that is at work tells some of it itself.
        """
        if not self.on:
            return
        try:
            self.late = leftovers(self.paths, self.say)
        except OSError as error:
            return self.break_off(error)
        if self.late:
            self.begin()

    def stage_started(
        self, address: str, stage: str, name: str, part: str | None, prefect_run: str | None = None
    ) -> None:
        """Tell that a stage begins; returns at once."""
        if not self.on:
            return
        try:
            values = inputs(self.params, stage, name, part) if stage != "fetch" else None
            settings = values.model_dump(mode="json") if values else {}
            links = {"dvc.stage": address, "prefect.flow_run_id": prefect_run or lineage.UNKNOWN}
            tags = {**self.tags, **links}
            job = Job(self.paths, address, stage, name, part, settings=settings, tags=tags)
            job.write()
        except (OSError, ValueError) as error:
            return self.break_off(error)
        self.jobs[address] = job
        self.teller.jobs.append(job)
        self.begin()
        self.events.put(("start", job))

    def stage_ended(self, address: str, outcome: str) -> None:
        """Tell how a stage ended ("Ran", "Failed", ...); returns at once."""
        job = self.jobs.pop(address, None)
        if job is None:
            return
        self.failed |= outcome == "Failed"
        try:
            job.end(outcome)
            if outcome == "Ran":
                job.note(prefect_run=job.tags["prefect.flow_run_id"])
        except (OSError, ValueError) as error:
            self.break_off(error)
        self.events.put(("end", job))

    @property
    def flow(self) -> str | None:
        """MLflow's id of the flow's run, None where there is none yet."""
        return (self.teller.flow or None) if self.on else None

    def close(self) -> None:
        """Tell what is left and end the flow's run; stages that were cut off have failed."""
        for address in list(self.jobs):
            self.stage_ended(address, "Failed")
        if self.thread:
            self.events.put(("close", None))
            self.thread.join(PATIENCE)
            if self.thread.is_alive():
                self.break_off(TimeoutError(f"no answer in {PATIENCE:.0f} s"))
        self.thread = None

    def begin(self) -> None:
        """Start the thread that tells; it imports MLflow, so the flow does not wait for that."""
        if self.thread is None:
            self.thread = threading.Thread(target=self.work, name="mlflow", daemon=True)
            self.thread.start()

    def work(self) -> None:
        """Take events until the flow closes; between them, follow the figures."""
        running: list[Job] = []
        event = ""
        self.attempt(self.teller.open)
        while event != "close":
            try:
                event, job = self.events.get(timeout=INTERVAL)
            except queue.Empty:
                for job in running:
                    self.attempt(self.teller.follow, job)
                continue
            if job is None:
                self.attempt(self.end)
            elif event == "start":
                running.append(job)
                self.attempt(self.teller.start, job)
            else:
                running = [other for other in running if other is not job]
                self.finish(job)
            self.events.task_done()

    def finish(self, job: Job) -> None:
        """Tell a stage's end, or keep it for the next flow."""
        self.attempt(self.teller.finish, job)
        if self.broken:
            try:
                job.secure()
            except OSError as error:
                self.say(f"{job.title} is lost to MLflow: {error}")

    def end(self) -> None:
        """Tell what earlier flows could not, and close this one."""
        for job in self.late:
            self.teller.replay(job)
        if self.late:
            stages = "1 stage" if len(self.late) == 1 else f"{len(self.late)} stages"
            self.say(f"MLflow now knows of {stages} that it had missed before")
        self.teller.end(self.failed)

    def attempt(self, action: Callable[..., None], *arguments: Any) -> None:
        """Tell something; the first failure ends the telling, not the flow."""
        if self.broken:
            return
        try:
            action(*arguments)
        except Exception as error:  # MLflow and SQLAlchemy have their own, by the dozen
            self.break_off(error)

    def break_off(self, error: Exception) -> None:
        """Stop telling, and say so once."""
        if self.broken is None:
            lines = [line for line in str(error).splitlines() if not line.startswith(ASIDE)]
            self.broken = (lines or [type(error).__name__])[0].strip()[:200]
            self.say(
                f"MLflow cannot be told ({self.broken}); work goes on, and the figures are kept "
                "in .work/replay for the next run"
            )
