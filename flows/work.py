"""What is to be done: a stage, a run; how, who is told; and what became of it."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from flows.graph import Stage

ENGINES = ("threads", "dask")


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
