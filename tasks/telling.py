"""What MLflow is told of a flow and of each stage, in the order in which it happens."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tasks import described, lineage
from tasks.artefacts import read_json
from tasks.paths import Paths
from tasks.settings import Params
from tasks.tracked import Job

METRICS = {"evaluate": "metrics.json", "classify": "classify.json", "apply": "apply.json"}
BOUNDS = (".spread", ".floor", ".ceiling")
STATUS = {"Failed": "FAILED", "Killed": "KILLED"}  # of MLflow, by outcome; else FINISHED


class Teller:
    """Opens the database and writes to it; every call may raise what MLflow raises.

    Args:
        title: name of the flow's run.
        tags: of the flow's run.
        open_store: makes a `tasks.mlflow_store.Store` for the project's folder.
    """

    def __init__(
        self,
        paths: Paths,
        params: Params,
        title: str,
        tags: Mapping[str, str],
        open_store: Callable[[Path], Any],
    ) -> None:
        self.paths, self.params, self.title, self.tags = paths, params, title, tags
        self.open_store, self.begun = open_store, time.time()
        self.store: Any = None
        self.jobs: list[Job] = []  # of this flow
        self.flow = ""
        self.measured: set[str] = set()  # experiments with figures of this flow

    def open(self) -> None:
        """Open the database and the flow's run."""
        self.store = self.open_store(self.paths.root)
        self.flow = self.store.open_run(self.title, self.tags, None, self.begun)

    def start(self, job: Job) -> None:
        """Open a stage's run, with its settings."""
        job.parent = job.parent or self.flow
        known = {**described.tags(self.params, job.name), "stage": job.stage}
        job.run = self.store.open_run(job.title, {**job.tags, **known}, job.parent, job.started)
        job.write()
        self.store.params(job.run, job.settings)
        self.describe()

    def follow(self, job: Job) -> None:
        """Tell the figures written since the last look."""
        lines = job.fresh_figures()
        if lines:
            self.store.figures(job.run, lines)

    def finish(self, job: Job) -> None:
        """Tell the rest of a stage, and close its run."""
        self.follow(job)
        record = job.record()
        self.store.tags(job.run, self.last_tags(job, record))
        if job.outcome not in STATUS:
            self.pictures(job, record)
            self.metrics(job)
        if job.outcome == "Ran":
            self.model(job)
            job.note(mlflow_run=job.run, mlflow_parent=job.parent)
        self.store.close_run(job.run, STATUS.get(str(job.outcome), "FINISHED"), job.ended)
        job.forget()

    def last_tags(self, job: Job, record: Mapping[str, Any]) -> dict[str, str]:
        """Return the tags that are known only when a stage has ended."""
        keys = ("command", "verdict", "evidence", "regime", "device_name", "fingerprint")
        tags = {key: str(record[key]) for key in keys if record.get(key)}
        tags["dvc.lock.sha256"] = lineage.lock_sha256(self.paths.root)
        tags["data.sha256"] = lineage.data_sha256(self.paths, self.dataset(job))
        tags["mlflow.note.content"] = self.note(job, record)
        return {**tags, "ebm.outcome": str(job.outcome)}

    def note(self, job: Job, record: Mapping[str, Any]) -> str:
        """Describe a stage's run."""
        experiment = self.params.experiments.get(job.name)
        device = record.get("device_name")
        parts = [f"{experiment.about}." if experiment else "", f"Stage `{job.address}`"]
        return "\n\n".join(filter(None, parts)) + (f", on {device}." if device else ".")

    def names(self) -> list[str]:
        """Return the experiments of which a stage was begun in this flow."""
        return [n for n in dict.fromkeys(j.name for j in self.jobs) if n in self.params.experiments]

    def describe(self) -> None:
        """Tag and describe the flow's run, by what is known so far."""
        names = self.names()
        command = self.tags.get("ebm.command", "")
        text = described.flow(self.paths, self.params, names, command, self.measured)
        known = described.together(described.tags(self.params, name) for name in names)
        self.store.tags(self.flow, {**known, "mlflow.note.content": text})

    def dataset(self, job: Job) -> str:
        """Return the name of the data set that a stage stands on."""
        experiment = self.params.experiments.get(job.name)
        return experiment.dataset if experiment else job.name

    def pictures(self, job: Job, record: Mapping[str, Any]) -> None:
        """Tell a stage's pictures: files of its run; the best is among the charts of the flow's."""
        files = [self.paths.root / picture for picture in record.get("pictures", [])]
        found = [file for file in files if file.is_file()]
        for file in found:
            self.store.artifact(job.run, file, "pictures")
        if found:
            best = max(found, key=lambda file: (len(file.stem), file.stem))
            self.store.picture(job.parent, best, f"{job.title} {best.stem}")

    def metrics(self, job: Job) -> None:
        """Tell a stage's metrics, to its own run and under the experiment's name to the flow's."""
        file = self.paths.results(job.name) / METRICS.get(job.stage, "")
        if job.stage not in METRICS or not file.is_file():
            return
        values = metric_values(read_json(file))
        self.store.figures(job.run, [{"step": 0, **values}])
        named = {f"{job.name}/{k}": v for k, v in values.items() if not k.endswith(BOUNDS)}
        self.store.figures(job.parent, [{"step": 0, **named}])
        self.measured.add(job.name)
        self.store.artifact(job.run, file, "metrics")

    def model(self, job: Job) -> None:
        """Log the model of an experiment's last training stage."""
        experiment = self.params.experiments.get(job.name)
        if job.stage != "train" or experiment is None or experiment.final != job.part:
            return
        manifest = read_json(self.paths.prepared(experiment.dataset) / "manifest.json")
        folder = self.paths.model(job.name, experiment.final)
        self.store.model(job.run, folder, tuple(manifest["shape"]))

    def end(self, failed: bool) -> None:
        """Close the flow's run."""
        self.describe()
        self.store.tags(self.flow, self.flow_tags())
        self.store.close_run(self.flow, "FAILED" if failed else "FINISHED")

    def flow_tags(self) -> dict[str, str]:
        """Return the tags of the flow that are known only when it has ended.

        data.sha256 is the data set's checksum; of several, "NAME SHA256, NAME SHA256".
        """
        tags = {"dvc.lock.sha256": lineage.lock_sha256(self.paths.root)}
        if not self.jobs:
            return tags
        names = sorted({self.dataset(job) for job in self.jobs})
        found = {name: lineage.data_sha256(self.paths, name) for name in names}
        known = {name: mark for name, mark in found.items() if mark != lineage.UNKNOWN}
        for name, mark in known.items():
            self.store.dataset(self.flow, name, mark)
        several = ", ".join(f"{name} {mark}" for name, mark in known.items())
        one = next(iter(known.values()), lineage.UNKNOWN)
        tags["data.sha256"] = several if len(known) > 1 else one
        key = "prefect.flow_run_id"
        return {**tags, key: self.jobs[0].tags.get(key, lineage.UNKNOWN)}

    def replay(self, job: Job) -> None:
        """Tell a stage of an earlier flow from the start; a half-told run of it is hidden."""
        if job.run:
            quiet(self.store.remove_run, job.run)
        state = quiet(self.store.is_open, job.parent)
        if state:
            quiet(self.store.close_run, job.parent, "KILLED")
        if state is None:  # the database was moved away since
            job.parent = None
        job.outcome = job.outcome or "Killed"
        job.tags["ebm.replayed"] = "True"
        self.start(job)
        self.finish(job)


def quiet(action: Callable[..., Any], *arguments: Any) -> Any:
    """Do what need not succeed; None where it does not."""
    try:
        return action(*arguments)
    except Exception:  # MLflow and SQLAlchemy have their own, by the dozen
        return None


def metric_values(content: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a metrics file: NAME, NAME.spread, NAME.floor, NAME.ceiling."""
    values: dict[str, float] = {}
    for row in content.get("metrics", []):
        for field in ("value", "spread", "floor", "ceiling"):
            if isinstance(row.get(field), int | float):
                key = row["metric"] if field == "value" else f"{row['metric']}.{field}"
                values[key] = float(row[field])
    return values
