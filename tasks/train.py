"""train: run a learner's stage over the data, and over the model below it."""

from pathlib import Path
from typing import Any, NamedTuple

import torch

from ebm.checkpoint import mend
from ebm.fit import Fitted, Progress, fit
from ebm.health import Diverged
from ebm.learn import learner_class
from ebm.processes import ALONE, Processes
from ebm.stored import load, save
from tasks.artefacts import load_arrays, new_folder, write_text
from tasks.broken import leave, table
from tasks.device import pick_device, started_outside
from tasks.inputs import TrainInputs
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.scratch import Scratch
from tasks.temperatures import temperatures

REVISION = 1


class Job(NamedTuple):
    """What a training stage is asked for; only process 0 needs a monitor."""

    name: str
    part: str
    inputs: TrainInputs
    paths: Paths
    scratch: Scratch
    monitor: Monitor | None

    @property
    def checkpoint(self) -> Path:
        """Where the run's state is kept until it ends."""
        return self.scratch.folder / "checkpoint.pt"


def run(
    name: str,
    part: str,
    inputs: TrainInputs,
    paths: Paths,
    monitor: Monitor,
    scratch: Scratch,
) -> None:
    """Write models/NAME/PART: model.json, model.pt and curves.csv."""
    job = Job(name, part, inputs, paths, scratch, monitor)
    device = pick_device(inputs.device)
    if lost := mend(job.checkpoint):
        monitor.say(lost)
    if inputs.train.processes == 1 and not started_outside():
        learn(ALONE, device, job)
    else:
        monitor.note(**together(job, device))


def follow(name: str, part: str, inputs: TrainInputs, paths: Paths, scratch: Scratch) -> None:
    """Take part in `run` as one of the processes that torchrun started, not the first."""
    job = Job(name, part, inputs, paths, scratch, None)
    together(job, pick_device(inputs.device))


def together(job: Job, device: str) -> dict[str, Any]:
    """Learn in several processes; return the notes of process 0.

    Raises:
        ValueError: what starts them is not installed.
    """
    count = job.inputs.train.processes
    try:
        from tasks.distributed import launch
    except ModuleNotFoundError as error:
        raise ValueError(
            f"train.{job.part}.processes is {count}, which needs the package lightning-fabric "
            f"({error}); install it, or set processes to 1"
        ) from None
    return launch(learn, job, count, device, job.inputs.threads)


def learn(processes: Processes, device: str, job: Job) -> dict[str, Any]:
    """Learn as one of the processes; process 0 tells, writes the model, and returns its notes."""
    data = load_arrays(job.paths.prepared(job.inputs.dataset) / "train.npz")
    learner = made(job, device)
    labelled = getattr(learner, "labelled", False)
    monitor = job.monitor if processes.rank == 0 else None

    def report(progress: Progress) -> None:
        if monitor:
            monitor.figures(progress.step, progress.figures)
            monitor.progress(progress.step, progress.steps, progress.verdict.name)

    try:
        fitted = fit(
            learner,
            torch.from_numpy(data["x"]),
            job.inputs.train.fit,
            seed=seed_of(job.inputs),
            checkpoint=job.checkpoint,
            report=report,
            processes=processes,
            labels=torch.from_numpy(data["y"]).long() if labelled else None,
        )
    except Diverged as error:
        if monitor is None:  # all diverged alike, and process 0 says so
            return {}
        monitor.note(verdict="diverging", evidence=str(error), events=error.events)
        told = leave(error, learner, job.name, job.part, job.inputs, job.paths)
        error.args = (f"{error}; {told}",)
        raise
    finally:
        if monitor:
            monitor.flush()
    if monitor is None:
        return {}
    monitor.note(temperature=temperatures(job.inputs.train.model))
    monitor.note(
        verdict=fitted.verdict.name, evidence=fitted.verdict.evidence, events=fitted.events
    )
    write(job, learner, fitted)
    return monitor.notes


def made(job: Job, device: str) -> Any:
    """Return the learner, freshly made, over the model below it, with its source if it has one."""
    settings = job.inputs.train
    below = (
        load(job.paths.model(job.name, settings.below), device).learner if settings.below else None
    )
    torch.manual_seed(seed_of(job.inputs))  # the networks' first parameters
    learner = learner_class(job.inputs.learner)(settings.model, below=below, device=device)
    if settings.source:
        source = load_arrays(job.paths.prepared(settings.source) / "train.npz")["x"]
        learner.begin_at(torch.from_numpy(source))
    return learner


def seed_of(inputs: TrainInputs) -> int:
    """Return the stage's own seed, or the experiment's."""
    return inputs.seed if inputs.train.seed is None else inputs.train.seed


def write(job: Job, learner: Any, fitted: Fitted) -> None:
    """Write the trained model's folder."""
    with new_folder(job.paths.model(job.name, job.part)) as folder:
        save(folder, job.inputs.learner, learner, fitted.networks)
        write_text(folder / "curves.csv", table(fitted.curves))
        write_text(folder / "fingerprint", job.scratch.fingerprint + "\n")
