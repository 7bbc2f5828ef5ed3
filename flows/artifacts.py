"""What Prefect's page shows of a run beside its graph: tags, progress, results with pictures.

The page is for who looks; the run does not need it. So nothing here stops a run or holds it up:
what Prefect cannot be told is left out.
"""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import copy_context
from pathlib import Path
from typing import Any

from flows.graph import Stage
from flows.work import Order, Row
from tasks import described, lineage
from tasks.artefacts import read_json
from tasks.experiment_settings import Experiment
from tasks.monitor import clock
from tasks.paths import Paths
from tasks.settings import Params

PACE = 5.0  # seconds between two words on where a stage stands
PATIENCE = 5.0  # seconds that the end of a stage waits for its last word
NAMED = 8  # experiments of a flow that stand among its tags; a suite can have fifty
FOLDERS = ("samples", "apply", "evaluate")  # a picture of each is shown
HEAVY = 80_000  # bytes of a picture, about
DID = ("Ran", "Restored")


def flow_tags(params: Params, names: Sequence[str]) -> set[str]:
    """Return the tags of a flow: its experiments, unless they are many, and their systems."""
    systems = {system for name in names for system in params.experiments[name].systems}
    return systems | set(names if len(names) <= NAMED else ["suite"])


def stage_tags(params: Params, stage: Stage) -> set[str]:
    """Return the tags of a stage: what it does, for which experiment or data, for which systems."""
    experiment = params.experiments.get(stage.name)
    return {stage.verb, stage.name, *(experiment.systems if experiment else [])}


def key(*words: str) -> str:
    """Return an artifact's key, of which Prefect takes small letters, digits and dashes alone.

    >>> key("results", "Contrast_2d")
    'results-contrast-2d'
    """
    return re.sub("[^a-z0-9]+", "-", "-".join(words).lower()).strip("-")


def standing(told: Mapping[str, Any]) -> str:
    """Say where a stage stands: 120/600, 1 min 5 s left, healthy."""
    parts = [f"{told['done']}/{told['total']}", f"{clock(told['left'])} left", told["text"]]
    return ", ".join(part for part in parts if part)


def followed(order: Order, work: Callable[[], Row]) -> Row:
    """Run a stage; where it is one of training, Prefect's page shows where it stands meanwhile."""
    if order.stage.verb != "train" or order.reasons is None or order.refused:
        return work()
    progress = Progress(order)
    told = copy_context()  # of the task, whose artifact it is
    thread = threading.Thread(target=told.run, args=(progress.watch,), daemon=True)
    thread.start()
    try:
        progress.row = work()
    finally:
        progress.ended.set()
        thread.join(PATIENCE)
    return progress.row


class Progress:
    """A progress artifact that follows what a stage tells of itself in its live file.

    Attributes:
        row: what became of the stage, once it has ended.
    """

    def __init__(self, order: Order) -> None:
        self.stage = order.stage
        self.live = Paths(order.root).live(self.stage.verb, self.stage.name, self.stage.part)
        self.ended = threading.Event()
        self.row: Row | None = None
        self.artifact: Any = None
        self.percent = 0.0

    def watch(self) -> None:
        """Tell where the stage stands until it has ended, and then how that went."""
        self.tell("begins")
        while not self.ended.wait(PACE):
            with suppress(OSError, ValueError, KeyError, ZeroDivisionError):
                told = read_json(self.live)
                self.percent = round(100 * told["done"] / told["total"], 1)
                self.tell(standing(told))
        if self.row is None:
            return self.tell("stopped")
        if self.row.state != "Failed":
            self.percent = 100.0
        took = f"{self.row.state.lower()}, {clock(self.row.seconds)}"
        self.tell(f"{took}: {self.row.reason}" if self.row.reason else took)

    def tell(self, text: str) -> None:
        """Make the artifact, or change it."""
        from prefect.artifacts import create_progress_artifact, update_progress_artifact

        said = f"{self.stage.address}: {text}"
        with suppress(Exception):  # the page goes without; the training goes on
            if self.artifact is None:
                name = key("progress", self.stage.name, self.stage.label)
                self.artifact = create_progress_artifact(self.percent, name, said)
            else:
                update_progress_artifact(self.artifact, self.percent, said)


def show_results(
    paths: Paths, params: Params, needs: Mapping[str, Sequence[str]], rows: Mapping[str, Row]
) -> None:
    """Make an artifact `results-NAME` of each experiment that ran and went well, with its figures.

    A flow of one stage alone makes none: its figures may be of other settings.

    Args:
        needs: addresses of the stages that each experiment needs, by its name.
        rows: what became of each stage, by address.
    """
    for name, addresses in needs.items():
        verbs = {address.partition("@")[0] for address in addresses}
        own = [rows[address] for address in addresses if address in rows]
        states = {row.state for row in own}
        if {"train", "evaluate"} <= verbs and states & set(DID) and states <= {*DID, "UpToDate"}:
            with suppress(Exception):  # the report has it all
                publish(paths, name, params.experiments[name], sum(row.seconds for row in own))


def publish(paths: Paths, name: str, experiment: Experiment, seconds: float) -> None:
    """Make the artifacts of an experiment: its results as a page, and a picture by itself."""
    from prefect.artifacts import create_image_artifact, create_markdown_artifact

    shown = pictures(paths, name)
    text = markdown(paths, name, experiment, seconds, shown)
    create_markdown_artifact(text, key("results", name), f"Results of {name}")
    for title, uri in list(shown.items())[:1]:
        create_image_artifact(uri, key("picture", name), f"{name}: {title}")


def markdown(
    paths: Paths,
    name: str,
    experiment: Experiment,
    seconds: float,
    shown: Mapping[str, str],
) -> str:
    """Return the results of an experiment as a page of Markdown.

    Args:
        seconds: that its stages took in this flow.
        shown: pictures as data, by title: the browser cannot read this machine's files.
    """
    commit = lineage.commit(paths.root)[:10]
    report = (paths.results(name) / "report.html").resolve()
    drawn = [f"![{title}]({uri})\n\n*{title}*" for title, uri in shown.items()]
    parts = [
        f"# {name}",
        f"{experiment.about}.",
        f"{described.facts(experiment)}; {clock(seconds)} of work, commit `{commit}`",
        *drawn[:1],
        described.table(paths, name, experiment),
        *drawn[1:],
        f"All figures, curves and pictures: `{report}`. Again: `ebm run {name}`.",
    ]
    return "\n\n".join(parts)


def pictures(paths: Paths, name: str) -> dict[str, str]:
    """Return small pictures of an experiment as data URIs, by title: its finest of each kind."""
    from tasks.report.leaderboard import finest

    places = [finest(paths.results(name) / folder) for folder in FOLDERS]
    return {place.stem.replace("_", " "): small(place) for place in places if place}


def small(place: Path) -> str:
    """Return a picture as a data URI of limited size."""
    import numpy as np
    from PIL import Image

    from tasks.report.pictures import packed

    with Image.open(place) as image:
        shown = image.convert("RGB")
    shown.thumbnail((640, 640))
    return str(packed(np.asarray(shown), HEAVY)["uri"])
