"""apply: put a trained model to its uses, one after the other, and measure each."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ebm.stored import load
from tasks.applications import (
    classifier,
    conditional_chains,
    hopfield,
    inpaint,
    interpolate,
    long_chains,
    moments,
    reconstruct,
    rounds,
    statistics,
)
from tasks.applications.job import Job, Outcome
from tasks.apply_settings import APPLICATIONS
from tasks.artefacts import load_arrays, new_folder
from tasks.inputs import ApplyInputs
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.scores import naming, write_scores

REVISION = 2

RUN: dict[str, Callable[[Job], Outcome]] = {
    "inpaint": inpaint.run,
    "interpolate": interpolate.run,
    "reconstruct": reconstruct.run,
    "long_chains": long_chains.run,
    "moments": moments.run,
    "hopfield": hopfield.run,
    "statistics": statistics.run,
    "conditional_chains": conditional_chains.run,
    "classifier": classifier.run,
    "rounds": rounds.run,
}


def run(name: str, part: None, inputs: ApplyInputs, paths: Paths, monitor: Monitor) -> None:
    """Write results/NAME/apply.json, and the applications' pictures in results/NAME/apply."""
    learner = load(paths.model(name, inputs.final)).learner
    train, test = (images(paths, inputs.dataset, split) for split in ("train", "test"))
    asked = inputs.apply.asked()
    other = other_images(paths, inputs.apply, test)
    outcomes: list[Outcome] = []
    with new_folder(paths.results(name) / "apply") as folder:
        for kind in (each for each in APPLICATIONS if each in asked):
            tell = teller(monitor, len(outcomes), len(asked))
            job = Job(learner, train, test, asked[kind], inputs.seed, folder, tell, other)
            outcomes.append(named(RUN[kind](labelled(job, paths, inputs.dataset)), asked[kind]))
    regime = next((each.regime._asdict() for each in outcomes if each.regime), None)
    write_scores(
        paths.results(name) / "apply.json",
        name,
        " ".join(each.protocol for each in outcomes),
        [row for each in outcomes for row in each.metrics],
        [row for each in outcomes for row in each.compared],
        regime,
    )
    made = [picture for each in outcomes for picture in each.pictures]
    monitor.note(pictures=[str(paths.results(name) / "apply" / f"{each}.png") for each in made])
    if regime:
        monitor.note(regime=regime["name"], because=regime["evidence"])


def images(paths: Paths, dataset: str, split: str) -> np.ndarray:
    """Return a prepared data set's images, (N, C, H, W)."""
    return load_arrays(paths.prepared(dataset) / f"{split}.npz")["x"]


def other_images(paths: Paths, settings: Any, test: np.ndarray) -> np.ndarray | None:
    """Return the test images of the data set that `reconstruct` is also tried on, if any."""
    if settings.reconstruct is None or settings.reconstruct.other is None:
        return None
    return alike(paths, settings.reconstruct.other, "test", test, "reconstruct")


def alike(paths: Paths, other: str, split: str, test: np.ndarray, of: str) -> np.ndarray:
    """Return images of another data set, (M, C, H, W), shaped as the model's, (N, C, H, W).

    Grey ones are repeated where the model's have colours.

    Raises:
        ValueError: they are of another shape.
    """
    found = images(paths, other, split)
    if found.shape[1] == 1:
        found = found.repeat(test.shape[1], axis=1)
    if found.shape[1:] != test.shape[1:]:
        raise ValueError(
            f"apply.{of}.other is {other}, whose images are {found.shape[1:]}; the model's "
            f"are {test.shape[1:]}"
        )
    return found


def labelled(job: Job, paths: Paths, dataset: str) -> Job:
    """Return the job of a classifier with labelled images of the split that it is judged on."""
    split = getattr(job.settings, "against", None)
    if split is None:
        return job
    held = load_arrays(paths.prepared(dataset) / f"{split}.npz")
    other = alike(paths, job.settings.other, split, held["x"], "classifier")
    return job._replace(test=held["x"], labels=held["y"], other=other)


def named(outcome: Outcome, settings: Any) -> Outcome:
    """Return what was measured, named after the split that it was measured on."""
    rename = naming(getattr(settings, "against", "test"))
    return outcome._replace(
        protocol=rename(outcome.protocol),
        metrics=list(map(rename, outcome.metrics)),
        compared=list(map(rename, outcome.compared)),
    )


def teller(monitor: Monitor, done: int, total: int) -> Callable[[float, str], None]:
    """Return what tells the monitor how far an application is, in thousandths of all of them."""
    return lambda share, text: monitor.progress(round(1000 * (done + share)), 1000 * total, text)
