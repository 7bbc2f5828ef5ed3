"""Progress for a person: bars on a terminal, a line now and then elsewhere."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from flows.artifacts import standing
from flows.experiment import Row, Work
from flows.graph import Stage
from tasks.artefacts import read_json
from tasks.monitor import clock
from tasks.paths import Paths

LOOK = 0.5  # seconds between looks at what the running stages tell
SPEAK = 15.0  # seconds between lines of a running stage where there is no terminal
OVERALL = "all stages"


class Display:
    """Shows a run while it goes on; its methods are hooks of `run_experiments`.

    Example, where there is no terminal:

        >>> import sys
        >>> stage = Stage("prepare@mine", "prepare", "mine", None, (), (), (), "")
        >>> with Display(Paths(), Console(file=sys.stdout)) as display:
        ...     display.start(stage)
        ...     display.end(stage, Row(stage.address, "Ran", 83.0, "new"))
        prepare@mine: begins
        prepare@mine: done, 1 min 23 s
    """

    def __init__(
        self,
        paths: Paths,
        console: Console | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.paths, self.now = paths, now
        self.console = console or Console(stderr=True)
        self.running: dict[str, Stage] = {}
        self.spoken: dict[str, float] = {}
        self.bars: dict[str, TaskID] = {}
        self.total = self.done = 0
        self.lock, self.ended = threading.Lock(), threading.Event()
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[text]}"),
            TimeElapsedColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.thread = threading.Thread(target=self.watch, name="display", daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.ended.set()
        if self.thread.is_alive():
            self.thread.join()
        self.progress.stop()

    def plan(self, work: Work) -> None:
        """Show what is to be done."""
        self.total = len(work.reasons)
        fresh = len(work.stages) - self.total
        if not self.total:
            return self.say(f"All {fresh} stages are up to date.")
        self.say(f"{self.total} stages to run, {fresh} up to date")
        if self.console.is_terminal:
            self.progress.start()
            self.bars[OVERALL] = self.progress.add_task(OVERALL, total=self.total, text="")
        self.thread.start()

    def start(self, stage: Stage, flow_run: str | None = None) -> None:
        """Show that a stage begins."""
        with self.lock:
            self.running[stage.address] = stage
            self.spoken[stage.address] = self.now()
            if self.console.is_terminal:
                self.bars[stage.address] = self.progress.add_task(
                    stage.address, total=None, text="begins"
                )
            else:
                self.say(f"{stage.address}: begins")

    def end(self, stage: Stage, row: Row) -> None:
        """Show how a stage ended."""
        with self.lock:
            self.running.pop(stage.address, None)
            self.done += 1
            if stage.address in self.bars:
                self.progress.remove_task(self.bars.pop(stage.address))
                self.progress.update(self.bars[OVERALL], completed=self.done)
            self.say(ending(row))
            for text in said(self.paths, stage) if row.state == "Ran" else []:
                self.say(text)

    def watch(self) -> None:
        """Look at the running stages until the end."""
        while not self.ended.wait(LOOK):
            with self.lock:
                for address, stage in self.running.items():
                    self.look(address, stage)

    def look(self, address: str, stage: Stage) -> None:
        """Show where one running stage stands, if it has told."""
        try:
            told = read_json(self.paths.live(stage.verb, stage.name, stage.part))
        except (OSError, ValueError):
            return
        if address in self.bars:
            bar = self.bars[address]
            self.progress.update(
                bar, total=told["total"], completed=told["done"], text=standing(told)
            )
        elif self.now() - self.spoken[address] >= SPEAK:
            self.spoken[address] = self.now()
            self.say(f"{address}: {standing(told)}")

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)


def said(paths: Paths, stage: Stage) -> list[str]:
    """Return the lines that a stage which has run had to say, by its record."""
    try:
        return list(read_json(paths.record(stage.verb, stage.name, stage.part)).get("said", []))
    except (OSError, ValueError):
        return []


def ending(row: Row) -> str:
    """Say how a stage ended."""
    time_taken = clock(row.seconds)
    if row.state == "Failed":
        return f"{row.address}: failed after {time_taken}: {row.reason}"
    word = {"Ran": "done", "Restored": "taken from DVC's cache", "UpToDate": "the same as before"}
    return f"{row.address}: {word.get(row.state, row.state)}, {time_taken}"
