"""What a running stage tells: where it stands, its figures, and a record of the whole run."""

import json
import sys
import time
from collections.abc import Mapping
from typing import Any

from tasks.artefacts import write_json
from tasks.paths import Paths, label

INTERVAL = 0.5  # seconds between writes, so that telling costs nothing beside working


class Monitor:
    """Tells of one stage: a live file for who watches, a line on a terminal, figures for MLflow."""

    def __init__(self, paths: Paths, stage: str, name: str, part: str | None = None) -> None:
        self.live = paths.live(stage, name, part)
        self.file = paths.figures(stage, name, part)
        self.title = f"{name} {label(stage, part)}"
        self.begun, self.told = time.monotonic(), 0.0
        self.first, self.since = 0, self.begun  # the work and the time when it was first told
        self.notes: dict[str, Any] = {}
        self.pending: list[str] = []
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.unlink(missing_ok=True)

    def progress(self, done: int, total: int, text: str = "") -> None:
        """Tell how many of the units of work are done."""
        now = time.monotonic()
        if done < total and self.told and now - self.told < INTERVAL:
            return
        if self.told and done > self.first:
            rate = (now - self.since) / (done - self.first)
        else:  # the first word; a resumed run starts further on, which the next one makes good
            self.first, self.since, rate = done, now, (now - self.begun) / max(1, done)
        self.told = now
        left = rate * (total - done)
        write_json(self.live, {"done": done, "total": total, "left": round(left, 1), "text": text})
        self.flush()
        if sys.stderr.isatty():
            end = "\n" if done == total else ""
            line = f"\r{self.title}: {done}/{total}, {clock(left)} left  {text}\033[K"
            print(line, end=end, file=sys.stderr, flush=True)

    def figures(self, step: int, values: Mapping[str, float]) -> None:
        """Keep an iteration's figures for MLflow."""
        self.pending.append(json.dumps({"step": step, **values}))

    def say(self, text: str) -> None:
        """Print a line, and keep it for the flow to show."""
        print(text)
        self.notes.setdefault("said", []).append(text)

    def note(self, **facts: Any) -> None:
        """Add facts to the record of the run."""
        self.notes.update(facts)

    def flush(self) -> None:
        """Write the figures kept so far to the stage's file."""
        if self.pending:
            with self.file.open("a") as file:
                file.write("\n".join(self.pending) + "\n")
            self.pending = []

    def close(self) -> None:
        """Write what is left, and stop being live."""
        self.flush()
        self.live.unlink(missing_ok=True)


def clock(seconds: float) -> str:
    """Write a time as a person reads it: 8 s, 2 min 5 s, 1 h 4 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
