"""Displacement errors of predicted trajectories, the best of K.

    ADE = mean_t |y_t - y*_t|,    FDE = |y_T - y*_T|

Of K predictions of an agent the best counts, and agents count alike. Two ways to say which is best:

    independent  the least ADE, and the least FDE, of whichever prediction has it
    by plan      the prediction whose plan is nearest to the true plan, as a vector; ADE is that of
                 its way, FDE that of the end of its plan

Both look at the truth: they say how near the nearest of K guesses came, not how good one guess is.
The second is that of the published latent belief model, and is never below the first by much: a
plan's end may be nearer to the truth than that of the way.

Source: Gupta, Johnson, Fei-Fei, Savarese, Alahi, arXiv:1803.10892 (best of K); Mangalam and others,
arXiv:2004.02025 (one selection); Pang, Zhao, Xie, Wu, arXiv:2104.03086.
"""

from typing import NamedTuple

import numpy as np

REVISION = 1


class Errors(NamedTuple):
    """Of each agent, (N,) float64, in the units of the positions."""

    ade: np.ndarray
    fde: np.ndarray


def independent(way: np.ndarray, truth: np.ndarray) -> Errors:
    """Return the least ADE and the least FDE of each agent.

    Args:
        way: (N, K, T, 2), predictions.
        truth: (N, T, 2).

    Raises:
        ValueError: the shapes do not fit.

    >>> way = np.array([[[[0.0, 3.0], [0.0, 4.0]], [[0.0, 0.0], [0.0, 5.0]]]])
    >>> independent(way, np.zeros((1, 2, 2)))
    Errors(ade=array([2.5]), fde=array([4.]))
    """
    check(way, truth)
    away = distances(way, truth)
    return Errors(away.mean(2).min(1), away[:, :, -1].min(1))


def by_plan(plan: np.ndarray, way: np.ndarray, truth: np.ndarray, true_plan: np.ndarray) -> Errors:
    """Return ADE and FDE of each agent's prediction whose plan is nearest to the true one.

    Args:
        plan: (N, K, P, 2), positions at some of the frames, the last one the last frame's.
        way: (N, K, T, 2).
        truth: (N, T, 2).
        true_plan: (N, P, 2).

    Raises:
        ValueError: the shapes do not fit.
    """
    check(way, truth)
    check(plan, true_plan)
    difference = plan.astype(np.float64) - true_plan[:, None]
    chosen = np.square(difference).sum((2, 3)).argmin(1)
    row = np.arange(len(plan))
    ade = distances(way[row, chosen][:, None], truth)[:, 0].mean(1)
    return Errors(ade, distances(plan[row, chosen][:, None], true_plan)[:, 0, -1])


def distances(x: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the distances, (N, K, T), of x: (N, K, T, 2) to truth: (N, T, 2)."""
    found: np.ndarray = np.linalg.norm(x.astype(np.float64) - truth[:, None], axis=-1)
    return found


def check(x: np.ndarray, truth: np.ndarray) -> None:
    """Refuse predictions that are not of these agents and frames, or of none.

    Raises:
        ValueError: naming both shapes.
    """
    fits = x.ndim == 4 and x.shape[:1] + x.shape[2:] == truth.shape and x.shape[1] > 0
    if not fits:
        raise ValueError(
            f"predictions are {x.shape} and the truth {truth.shape}; they must be (N, K, T, 2) "
            "and (N, T, 2)"
        )
