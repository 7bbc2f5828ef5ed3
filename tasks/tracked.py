"""One stage that MLflow is to know of: what is known, and where its files are until it is told."""

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tasks.artefacts import age, read_json, write_json
from tasks.paths import Paths, label
from tasks.scratch import birth

KEPT = ("address", "stage", "name", "part", "settings", "tags", "started", "before")
LATER = ("outcome", "ended", "run", "parent")


class Job:
    """A stage from its start until MLflow knows all of it, with a folder in .work/replay.

    Args:
        address: DVC's name of the stage.
        settings: what it reads of params.yaml.
        tags: of its run.
        started: seconds since 1970; None is now.
        before: the age of each of its files when it started; None is now.
        home: the folder of a stage that an earlier flow left.
    """

    def __init__(
        self,
        paths: Paths,
        address: str,
        stage: str,
        name: str,
        part: str | None,
        *,
        settings: Mapping[str, Any],
        tags: Mapping[str, str],
        started: float | None = None,
        before: Mapping[str, str | None] | None = None,
        home: Path | None = None,
    ) -> None:
        self.paths, self.address = paths, address
        self.stage, self.name, self.part = stage, name, part
        self.settings, self.tags = dict(settings), dict(tags)
        self.started = time.time() if started is None else started
        self.files = {
            "figures.jsonl": paths.figures(stage, name, part),
            "record.json": paths.record(stage, name, part),
        }
        now = {kept: age(place) for kept, place in self.files.items()}
        self.before = now if before is None else dict(before)
        self.title = f"{name} {label(stage, part)}"
        mark = f"{name}--{label(stage, part)}--{self.started * 1000:.0f}"
        self.home = home or paths.work / "replay" / mark
        self.outcome: str | None = None
        self.ended = 0.0
        self.run: str | None = None
        self.parent: str | None = None
        self.told = b""
        self.lock = threading.Lock()

    def write(self) -> None:
        """Keep what is known."""
        owner = [os.getpid(), birth(os.getpid())]
        with self.lock:  # the flow and the thread that tells both write it
            facts = {key: getattr(self, key) for key in (*KEPT, *LATER)}
            write_json(self.home / "job.json", {**facts, "owner": owner})

    def end(self, outcome: str) -> None:
        """Keep how the stage ended."""
        self.outcome, self.ended = outcome, time.time()
        self.write()

    def fresh(self, kept: str) -> Path | None:
        """Return a file of this run of the stage, None where there is only an older one's.

        It is the copy that was kept, or in its own place.
        """
        secured = (self.home / "secured").exists()
        path = self.home / kept if secured else self.files[kept]
        return path if age(path) not in (None, self.before.get(kept)) else None

    def fresh_figures(self) -> list[dict[str, Any]]:
        """Return the figures written since the last call."""
        path = self.fresh("figures.jsonl")
        if path is None:
            return []
        there = path.read_bytes()
        if not there.startswith(self.told):  # a second try of the stage, maybe under the same inode
            self.told = b""
        whole = there[len(self.told) :].rpartition(b"\n")[0]
        self.told = there[: len(self.told) + len(whole) + bool(whole)]
        return [json.loads(line) for line in whole.splitlines()]

    def record(self) -> dict[str, Any]:
        """Return the record of this run of the stage, empty where it has left none."""
        path = self.fresh("record.json")
        return read_json(path) if path else {}

    def note(self, **facts: Any) -> None:
        """Add facts to the record that the report reads, if it is still this run's."""
        place = self.files["record.json"]
        mine, there = self.record(), read_json(place) if place.is_file() else {}
        if mine and there.get("started") == mine.get("started"):
            write_json(place, {**there, **facts})

    def secure(self) -> None:
        """Copy the stage's files, which its next run would overwrite."""
        for kept, place in self.files.items():
            if self.fresh(kept) == place:
                shutil.copy2(place, self.home / kept)
        (self.home / "secured").touch()

    def forget(self) -> None:
        """Remove the folder: MLflow knows."""
        shutil.rmtree(self.home, ignore_errors=True)


def leftovers(paths: Paths, say: Callable[[str], None]) -> list[Job]:
    """Return the stages that flows now gone did not tell, oldest first, their files secured.

    What cannot be read is put aside, and said: it must not keep the others from being told.
    """
    jobs = []
    for file in (paths.work / "replay").glob("[!.]*/job.json"):
        try:
            job = left(paths, file)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            aside = file.parent.with_name(f".{file.parent.name}")
            shutil.rmtree(aside, ignore_errors=True)
            file.parent.replace(aside)
            say(
                f"{file.parent.name} is lost to MLflow ({error}); what there is of it is in {aside}"
            )
            continue
        if job:
            jobs.append(job)
    return sorted(jobs, key=lambda job: job.started)


def left(paths: Paths, file: Path) -> Job | None:
    """Return a stage that a flow left, its files secured; None of one that lives."""
    facts = {"before": {}, **read_json(file)}  # a flow of before this was kept has none
    pid, born = facts["owner"]
    if pid != os.getpid() and birth(pid) == born and born is not None:
        return None  # its flow lives and tells it itself
    job = Job(paths, **{key: facts[key] for key in KEPT}, home=file.parent)
    for key in LATER:
        setattr(job, key, facts[key])
    if not (job.home / "secured").exists():
        job.secure()
    return job
