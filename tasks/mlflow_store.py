"""What is written to MLflow: runs, parameters, figures, pictures and models, in mlflow.db.

The database's path is absolute: a relative one makes a new database in every working folder.
"""

import json
import logging
import os
import re
import sqlite3
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ADDRESS = "MLFLOW_TRACKING_URI"  # of the environment
EXPERIMENT = "ebm"
VIEW = "ebm"  # key of the columns that the page of runs shows
COLUMNS = ("system", "dataset", "learner", "device", "verdict")
TAGS = {  # of the experiment, which MLflow's page reads
    "mlflow.experimentKind": "custom_model_development",  # else it is a page on language models
    "mlflow.note.content": (
        "One run a flow, named after its experiments; open it for the runs of its stages, named "
        "EXPERIMENT STAGE. A flow's description has the figures beside floor, ceiling and goal, "
        "a training stage the curves under Model metrics. Group by the tag `experiment`, or find "
        "what failed with `attributes.status = 'FAILED'`."
    ),
    f"mlflow.sharedViewState.{VIEW}": json.dumps(
        {"selectedColumns": [f"tags.`{each}`" for each in COLUMNS]}
    ),
}
RUN = re.compile(r"[0-9a-f]{7,32}")  # a run's id, or how it begins
BATCH = 1000  # figures in one call, MLflow's limit
PARAMS = 100  # parameters in one call, MLflow's limit
LONGEST = 500  # characters of a parameter's value


class Broken(ValueError):
    """MLflow's database cannot be used."""


def installed() -> bool:
    """Tell whether MLflow can be imported."""
    return find_spec("mlflow") is not None


def check(root: Path) -> None:
    """See that <root>/mlflow.db can be written, without importing MLflow.

    Raises:
        Broken: it is damaged, not MLflow's, or cannot be written.
    """
    place = root.resolve() / "mlflow.db"
    new = not place.exists()
    try:
        with sqlite3.connect(place, timeout=5) as database:
            database.execute("BEGIN IMMEDIATE")
            sound = database.execute("PRAGMA quick_check(1)").fetchone()[0]
            tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master")}
            database.rollback()
        database.close()
    except sqlite3.Error as error:
        raise Broken(f"{place} cannot be written ({error}); {advice()}") from None
    if new:
        place.unlink(missing_ok=True)
    elif sound != "ok":
        raise Broken(f"{place} is damaged ({sound}); {advice()}")
    elif tables and "alembic_version" not in tables:
        raise Broken(f"{place} is a database, but not MLflow's; {advice()}")


def advice() -> str:
    """Say what helps."""
    return "free it, or move it away and a new one is made"


class Store:
    """One client of the database; every call may raise what MLflow raises."""

    def __init__(self, root: Path) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
        import mlflow  # 2 to 6 s: only a flow's own thread pays them

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)
        logging.getLogger("mlflow.store").setLevel(logging.CRITICAL)  # it raises them, too
        self.root = root.resolve()
        self.address = f"sqlite:///{self.root / 'mlflow.db'}"
        self.mlflow, self.client = mlflow, mlflow.MlflowClient(tracking_uri=self.address)
        found = self.client.get_experiment_by_name(EXPERIMENT)
        self.experiment = found.experiment_id if found else self.new_experiment()
        there = found.tags if found else {}
        for key, value in TAGS.items():
            if there.get(key) != value:
                self.client.set_experiment_tag(self.experiment, key, value)

    @contextmanager
    def everywhere(self) -> Iterator[None]:
        """Make this database that of all of MLflow for a while: parts of it ask no client for one.

        MLflow writes the address into the environment, where other programs would find it: there
        is what was there before, afterwards.
        """
        before = os.environ.get(ADDRESS)
        self.mlflow.set_tracking_uri(self.address)
        try:
            yield
        finally:
            self.mlflow.set_tracking_uri(None)  # type: ignore[arg-type]  # None is as at first
            if before is not None:
                os.environ[ADDRESS] = before

    def new_experiment(self) -> str:
        """Make the experiment under which every run stands."""
        place = (self.root / "mlruns").as_uri()
        return str(self.client.create_experiment(EXPERIMENT, artifact_location=place))

    def open_run(
        self, name: str, tags: Mapping[str, str], parent: str | None = None, started: float = 0.0
    ) -> str:
        """Begin a run and return its id; `started` is in seconds since 1970, 0 is now."""
        links = {"mlflow.parentRunId": parent} if parent else {}
        run = self.client.create_run(
            self.experiment,
            start_time=round((started or time.time()) * 1000),
            tags={**tags, **links},
            run_name=name,
        )
        return str(run.info.run_id)

    def close_run(self, run: str, status: str, ended: float = 0.0) -> None:
        """End a run as FINISHED, FAILED or KILLED."""
        self.client.set_terminated(run, status, round((ended or time.time()) * 1000))

    def remove_run(self, run: str) -> None:
        """Hide a run that is told again from the start."""
        self.client.delete_run(run)

    def is_open(self, run: str) -> bool:
        """Tell whether a run was begun and never ended."""
        return bool(self.client.get_run(run).info.status == "RUNNING")

    def tags(self, run: str, tags: Mapping[str, str]) -> None:
        """Set tags."""
        from mlflow.entities import RunTag

        self.client.log_batch(run, tags=[RunTag(k, str(v)) for k, v in tags.items()])

    def params(self, run: str, settings: Mapping[str, Any]) -> None:
        """Write a stage's settings, once: MLflow refuses another value."""
        from mlflow.entities import Param

        params = [Param(k, str(v)[:LONGEST]) for k, v in flatten(settings).items()]
        for first in range(0, len(params), PARAMS):
            self.client.log_batch(run, params=params[first : first + PARAMS])

    def figures(self, run: str, lines: Iterable[Mapping[str, Any]], when: float = 0.0) -> None:
        """Write figures: each line has `step` and values by name."""
        from mlflow.entities import Metric

        stamp = round((when or time.time()) * 1000)
        metrics = [
            Metric(name, float(value), stamp, int(line["step"]))
            for line in lines
            for name, value in line.items()
            if name != "step"
        ]
        for first in range(0, len(metrics), BATCH):
            self.client.log_batch(run, metrics=metrics[first : first + BATCH])

    def artifact(self, run: str, path: Path, folder: str) -> None:
        """Keep a copy of a file with a run."""
        self.client.log_artifact(run, str(path), folder)

    def picture(self, run: str, path: Path, key: str) -> None:
        """Show a picture among a run's charts."""
        from PIL import Image

        with Image.open(path) as image:
            self.client.log_image(run, image.convert("RGB"), key=key, step=0)

    def dataset(self, run: str, name: str, mark: str) -> None:
        """Name the data set of a run.

        Args:
            mark: its checksum; MLflow keeps the beginning.
        """
        from mlflow.entities import Dataset, DatasetInput

        data = Dataset(name, mark[:12], "local", json.dumps({"uri": f"data/prepared/{name}"}))
        self.client.log_inputs(run, [DatasetInput(data)])

    def model(self, run: str, folder: Path, shape: tuple[int, int, int]) -> None:
        """Log a trained model's folder, as data, with its signature.

        Args:
            shape: (C, H, W) of an image.
        """
        import numpy as np
        from mlflow.models import ModelSignature
        from mlflow.types import Schema, TensorSpec

        inputs = Schema([TensorSpec(np.dtype("float32"), (-1, *shape), "images")])
        outputs = Schema([TensorSpec(np.dtype("float32"), (-1,), "f")])
        code = Path(__file__).parents[1]
        warnings.filterwarnings("ignore", ".*An input example was not provided")
        with self.everywhere(), self.mlflow.start_run(run_id=run):
            self.mlflow.pyfunc.log_model(
                name="model",
                loader_module="served",
                data_path=str(folder),
                code_paths=[str(code / "ebm"), str(code / "tasks" / "served.py")],
                signature=ModelSignature(inputs, outputs),
                pip_requirements=requirements(),
            )


def requirements() -> list[str]:
    """Return what a logged model needs, at the versions that trained it."""
    names = ("torch", "numpy", "pydantic")
    return [f"{name}=={version(name).split('+')[0]}" for name in names]


def flatten(settings: Any, prefix: str = "") -> dict[str, Any]:
    """Return nested settings by dotted key: train.model.grids.0.size."""
    if isinstance(settings, Mapping):
        items: Iterable[tuple[Any, Any]] = settings.items()
    elif isinstance(settings, list) and any(isinstance(v, (Mapping, list)) for v in settings):
        items = enumerate(settings)
    else:
        return {prefix: settings}
    flat: dict[str, Any] = {}
    for key, value in items:
        flat.update(flatten(value, f"{prefix}.{key}" if prefix else str(key)))
    return flat
