"""Stages of a flow, side by side: each is submitted once those it stands on have ended and it fits.

Prefect's own waiting would hold a worker for each stage that waits, so that stages which could run
would not. What fits is decided here by cores and GPUs, a cluster's by the cluster.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from queue import SimpleQueue
from typing import Any

from flows import engines
from flows.graph import Stage
from flows.room import Need, Room, need_of
from flows.work import Hooks, Order, Row, Work
from tasks.paths import Paths
from tasks.settings import Params

DONE = ("Ran", "Restored", "UpToDate")


class Run:
    """The stages of one flow: which are still to come, which run, and what became of the others."""

    def __init__(self, paths: Paths, params: Params, work: Work, hooks: Hooks) -> None:
        self.paths, self.work, self.hooks = paths, work, hooks
        self.stages = {stage.address: stage for stage in work.stages}
        self.needs = {s.address: need_of(params, s) for s in work.stages}
        cores, most = engines.space(work.manner.engine, work.manner.workers)
        wanted = any(self.needs[address].gpus for address in work.reasons)
        here = wanted and not engines.elsewhere(work.manner.engine)
        self.room = Room(cores, gpus() if here else [], most)
        self.workers = min(most, max(1, len(work.reasons)))
        self.rows: dict[str, Row] = {}
        self.futures: dict[str, Any] = {}
        self.ended: SimpleQueue[str] = SimpleQueue()
        self.flow_run: str | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Prefect sends the flow with each task to a worker, which needs nothing of it."""
        return {}

    @property
    def title(self) -> str:
        """The flow run's name."""
        return self.work.manner.title or ", ".join(self.work.names)

    def all(self, submit: Callable[..., Any]) -> None:
        """Run all stages.

        Args:
            submit: of Prefect's task; takes an Order and `wait_for`.
        """
        waiting = list(self.stages.values())
        if self.work.manner.go_on:  # of hundreds, only what is tried becomes a task
            waiting = [s for s in waiting if s.address in self.work.reasons]
            fresh = [address for address in self.stages if address not in self.work.reasons]
            self.rows |= {address: Row(address, "UpToDate", 0.0, "") for address in fresh}
        running = 0
        while waiting or running:
            begun = [stage for stage in waiting if self.begin(stage, submit)]
            waiting = [stage for stage in waiting if stage not in begun]
            running += sum(stage.address not in self.rows for stage in begun)
            if any(stage.address in self.rows for stage in begun):
                continue  # what cannot be reached was passed over; others may follow
            self.end(self.ended.get())
            running -= 1
        for future in self.futures.values():
            future.wait()

    def begin(self, stage: Stage, submit: Callable[..., Any]) -> bool:
        """Submit a stage if it can begin; tell whether it is out of the way."""
        ups = [up for up in stage.upstream if up in self.stages]
        if not all(up in self.rows for up in ups):
            return False
        over = [self.futures[up] for up in ups if up in self.futures]
        broken = [
            cause for up in ups if self.rows[up].state not in DONE for cause in self.causes(up)
        ]
        if broken:
            reason = f"{', '.join(dict.fromkeys(broken))} failed"
            self.rows[stage.address] = Row(stage.address, "Stopped", 0.0, reason)
            self.futures[stage.address] = submit(
                self.order(stage)._replace(refused=reason), wait_for=over
            )
            return True
        tried = stage.address in self.work.reasons and stage.address not in self.work.refused
        if not self.room.take(stage.address, self.needs[stage.address] if tried else Need(0)):
            return False
        if tried:
            self.hooks.start(stage, self.flow_run)
        future = self.futures[stage.address] = submit(self.order(stage), wait_for=over)
        future.add_done_callback(partial(self.tell, stage.address))
        return True

    def causes(self, address: str) -> list[str]:
        """Return the stages whose failure a stage has failed or stopped for, itself perhaps."""
        row = self.rows[address]
        if row.state in DONE:
            return []
        if row.state == "Failed":
            return [address]
        ups = [up for up in self.stages[address].upstream if up in self.rows]
        return [cause for up in ups for cause in self.causes(up)]

    def tell(self, address: str, future: Any) -> None:
        """Note that a stage's task has ended; called in whatever thread."""
        self.ended.put(address)

    def end(self, address: str) -> None:
        """Take in what became of a stage."""
        self.room.leave(address)
        row = self.rows[address] = row_of(address, self.futures[address])
        if address in self.work.reasons:
            self.hooks.end(self.stages[address], row)

    def order(self, stage: Stage) -> Order:
        """Return what is to be known of a stage where it runs."""
        work, address = self.work, stage.address
        return Order(
            self.paths.root.resolve(),
            stage,
            work.reasons.get(address),
            work.refused.get(address),
            work.force,
            work.params.resolve() if work.params else None,
            self.room.gpus_of(address) if address in self.room.taken else None,
        )

    def reserve(self, order: Order) -> AbstractContextManager[Any]:
        """Have a stage that is submitted meanwhile wait for the GPUs of a cluster's worker."""
        tried = order.reasons is not None and order.refused is None
        wanted = self.needs[order.address].gpus if tried else 0
        return engines.reserve(self.work.manner.engine, wanted)

    @property
    def whole(self) -> bool:
        """Whether it is known of every stage what became of it."""
        return len(self.rows) == len(self.stages)

    def table(self) -> list[Row]:
        """Return a row for every stage."""
        return [self.rows[address] for address in self.stages]


def row_of(address: str, future: Any) -> Row:
    """Return what a stage's task says of it; a task that says nothing was lost with its worker."""
    future.wait()
    try:
        row = future.result(raise_on_failure=False)
    except Exception as error:  # of the worker's machinery, not of the stage
        row = error
    if isinstance(row, Row):
        return row
    told = " ".join(str(row).split())
    return Row(address, "Failed", 0.0, f"its worker was lost ({told or type(row).__name__})")


def gpus() -> list[str]:
    """Return the GPUs of this machine, as CUDA_VISIBLE_DEVICES names them."""
    from tasks.device import gpus as found

    return found()
