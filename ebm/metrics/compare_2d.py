"""Learners held against a density that is known: both KL divergences and log Z, after learning."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from ebm.datasets.densities import Mixture
from ebm.fit import FitSettings, Fitted, Progress, fit
from ebm.learn import learner_class
from ebm.metrics.energy_distance import energy_distance
from ebm.metrics.quadrature import Grid, Judged, judge
from ebm.samplers.noise import seed_range
from ebm.settings import Settings

REVISION = 1


class Trial(NamedTuple):
    """One learner on one density.

    Attributes:
        learner: with the averaged networks.
        fitted: what `fit` left.
        judged: both KL divergences of exp(score), and log Z by quadrature.
        learned_log_z: c of noise contrastive estimation, else None.
        distance: squared energy distance of samples to as many fresh data.
        floor: the same of data to data.
    """

    learner: Any
    fitted: Fitted
    judged: Judged
    learned_log_z: float | None
    distance: float
    floor: float


def trial(
    name: str,
    settings: Settings,
    truth: Mixture,
    where: Grid,
    *,
    fitting: FitSettings,
    points: int,
    samples: int,
    seed: int,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Trial:
    """Train a learner on points of a density, and hold it against that.

    Args:
        name: of the learner.
        settings: its settings.
        truth: the density.
        where: the grid of the quadrature.
        fitting: how long it learns.
        points: training points.
        samples: chains run afterwards, for the energy distance.
        seed: of everything.
    """
    draws = torch.Generator().manual_seed(seed)
    data = truth.sample(points, draws)
    torch.manual_seed(seed)  # the network's first parameters
    learner = learner_class(name)(settings)
    fitted = fit(learner, data, fitting, seed=seed, report=report)
    learner.networks.load_state_dict(fitted.networks.state_dict())
    fresh, other = truth.sample(samples, draws), truth.sample(samples, draws)
    x = learner.sample(seed_range(seed, samples))[learner.size][-1]
    c = getattr(learner, "c", None)
    return Trial(
        learner,
        fitted,
        judge(learner.score, truth.log_density, where),
        None if c is None else float(c.detach()),
        energy_distance(x.cpu(), fresh),
        energy_distance(other, fresh),
    )
