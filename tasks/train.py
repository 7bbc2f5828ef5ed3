"""train: run a learner's stage over the data, and over the model below it."""

import torch

from ebm.fit import Diverged, Progress, fit
from ebm.learn import learner_class
from ebm.model import load, save
from tasks.artefacts import load_arrays, new_folder, write_text
from tasks.broken import leave, table
from tasks.device import pick_device
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.scratch import Scratch
from tasks.settings import TrainInputs

REVISION = 1


def run(
    name: str,
    part: str,
    inputs: TrainInputs,
    paths: Paths,
    monitor: Monitor,
    scratch: Scratch,
) -> None:
    """Write models/NAME/PART: model.json, model.pt and curves.csv."""
    device = pick_device(inputs.device)
    settings = inputs.train
    data = torch.from_numpy(load_arrays(paths.prepared(inputs.dataset) / "train.npz")["x"])
    below = load(paths.model(name, settings.below), device).learner if settings.below else None
    torch.manual_seed(inputs.seed)  # the networks' first parameters
    learner = learner_class(inputs.learner)(settings.model, below=below, device=device)

    def report(progress: Progress) -> None:
        monitor.figures(progress.step, progress.figures)
        monitor.progress(progress.step, progress.steps, progress.verdict.name)

    try:
        fitted = fit(
            learner,
            data,
            settings.fit,
            seed=inputs.seed,
            checkpoint=scratch.folder / "checkpoint.pt",
            report=report,
        )
    except Diverged as error:
        monitor.note(verdict="diverging", evidence=str(error), events=error.events)
        error.args = (f"{error}; {leave(error, learner, name, part, inputs, paths)}",)
        raise
    monitor.note(
        verdict=fitted.verdict.name, evidence=fitted.verdict.evidence, events=fitted.events
    )
    with new_folder(paths.model(name, part)) as folder:
        save(folder, inputs.learner, learner, fitted.networks)
        write_text(folder / "curves.csv", table(fitted.curves))
        write_text(folder / "fingerprint", scratch.fingerprint + "\n")
