"""A script: learn in two processes with tasks.distributed, and save what process 0 gathers."""

import sys
from pathlib import Path

import torch

from ebm.fit import fit
from ebm.learn.maximum_likelihood import MaximumLikelihood
from ebm.learn.maximum_likelihood_settings import MaximumLikelihoodSettings
from ebm.learn.multigrid import Multigrid
from ebm.learn.multigrid_settings import MultigridSettings
from ebm.learn.noise_contrastive import NoiseContrastive, NoiseContrastiveSettings
from ebm.learner import FitSettings
from ebm.processes import ALONE

BATCH = 8
POINTS = torch.rand(40, 2, generator=torch.Generator().manual_seed(5)) * 2 - 1
IMAGES = torch.rand(40, 1, 4, 4, generator=torch.Generator().manual_seed(6)) * 2 - 1
DRAWN = torch.randn(BATCH, 3, generator=torch.Generator().manual_seed(7))

MLP = {"kind": "mlp", "dim": 2, "widths": [8, 8], "scale": 1.0}
SGD = {"kind": "sgd", "rate": 0.01, "momentum": 0.0}
STILL = {"steps": 3, "sample_steps": 3, "step_size": 0.1, "noise": 0.0}
FROM = {"noise": "gaussian", "scale": 1.0}
CONTRAST = {
    "network": MLP,
    "reference": 2.0,
    "start": {"start": "data"},
    "sample_from": FROM,
    "chain": STILL,
    "data_noise": 0.0,
    "decay": 0.05,
    "optimiser": SGD,
}
GRID = {
    "width": 2,
    "steps": 2,
    "step_size": 1.0,
    "noise": 0.0,
    "start_noise": 0.0,
    "bounds": 1.1,
    "data_noise": 0.0,
    "rate": 0.01,
    "momentum": 0.5,
    "decay": 0.05,
}
NOISY = {
    "network": MLP,
    "reference": None,
    "noise": {"kind": "gaussian", "scale": 1.5},
    "ratio": 1,
    "data_noise": 0.0,
    "optimiser": SGD,
    "rate_log_z": 0.01,
    "chain": STILL,
}
FIT = {
    "updates": 12,
    "batch": BATCH,
    "average": 0.9,
    "final_rate": 0.1,
    "check_every": 4,
    "checkpoint_every": 4,
    "gap_limit": 50.0,
    "rollbacks": 1,
    "slow_down": 0.5,
}


class Given(NoiseContrastive):
    """Draws its noise from a table, of which each process has its part."""

    rank = 0

    def draw(self, count, seeds=None):
        if count == len(POINTS):
            return POINTS.flip(0)
        return self.noise.draw(DRAWN[self.rank * count : (self.rank + 1) * count])


def contrastive(**changes):
    settings = MaximumLikelihoodSettings.model_validate({**CONTRAST, **changes})
    return MaximumLikelihood(settings)


def learners():
    """Learners without any noise of their own, with their data."""
    grids = [{**GRID, "size": 2}, {**GRID, "size": 4}]
    both = MultigridSettings.model_validate({"channels": 1, "grids": grids})
    return {
        "contrast": (contrastive(gradient_clip=0.05), POINTS),
        "spectral": (contrastive(spectral=True), POINTS),
        "multigrid": (Multigrid(both), IMAGES),
        "noise": (Given(NoiseContrastiveSettings.model_validate(NOISY)), POINTS),
    }


def gradients(processes=ALONE):
    """One iteration of each learner on its part of the first BATCH data; gradients by name."""
    torch.manual_seed(processes.rank)  # others begin elsewhere, and are to be told
    found = {}
    for name, (learner, data) in learners().items():
        learner.rank = processes.rank
        learner.prepare(data)
        for key in learner.optimisers:
            learner.through[key] = processes.wrap(learner.networks[key])
        learner.learn(data[:BATCH].tensor_split(processes.count)[processes.rank])
        for key, value in learner.networks.named_parameters():
            found[f"{name}.{key}"] = value.grad
    return found


def persistent():
    torch.manual_seed(0)
    start = {"start": "persistent", **FROM, "chains": 16, "rejuvenation": 0.1}
    adam = {"kind": "adam", "rate": 0.01, "momentum": 0.5}
    chain = {**STILL, "noise": 0.1}
    return contrastive(start=start, chain=chain, data_noise=0.1, optimiser=adam)


class Cut(Exception):
    """The end of a run in its middle."""


def run(processes, checkpoint, stop=0):
    """Learn with persistent chains; be cut off after the iteration `stop`."""
    learner = persistent()

    def report(progress):
        if progress.step == stop:
            raise Cut

    settings = FitSettings(**FIT)
    fitted = fit(
        learner,
        POINTS,
        settings,
        seed=3,
        checkpoint=checkpoint,
        report=report,
        processes=processes,
    )
    average = dict(fitted.networks.state_dict())
    return {"learner": learner.state_dict(), "average": average, "curves": fitted.curves}


def work(processes, device, job):
    """Do all that the tests look at, and save it."""
    out = job
    grads = processes.gather(gradients(processes))
    whole = processes.gather(run(processes, out / "whole.pt"))
    try:
        run(processes, out / "cut.pt", stop=8)
        raise AssertionError("the run was not cut off")
    except Cut:
        pass
    resumed = processes.gather(run(processes, out / "cut.pt"))
    if processes.rank == 0:
        torch.save({"gradients": grads, "whole": whole, "resumed": resumed}, out / "found.pt")
    return {}


if __name__ == "__main__":
    from tasks.distributed import launch

    print(launch(work, Path(sys.argv[1]), 2, "cpu", 1))
