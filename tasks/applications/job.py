"""What an application of `apply` is given, and what it gives back.

It has no REVISION of its own: it computes nothing.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ebm.apply.long_chains import Regime
from ebm.samplers.noise import seed_range

Rows = list[dict[str, Any]]


class Job(NamedTuple):
    """An application's inputs.

    Attributes:
        learner: the trained learner.
        train, test: images (N, C, H, W) in [-1, 1].
        settings: the application's.
        seed: the experiment's.
        folder: where pictures go, as PNG files named after the application.
        tell: told what was done, as a share of all, and of what.
        other: test images of the data set that the settings name besides, or None.
        labels: of the images `test`, (N,), where the application asks for them.
    """

    learner: Any
    train: np.ndarray
    test: np.ndarray
    settings: Any
    seed: int
    folder: Path
    tell: Callable[[float, str], None]
    other: np.ndarray | None = None
    labels: np.ndarray | None = None

    def seeds(self, count: int, first: int = 0) -> list[int]:
        """Return the seeds of items first, first + 1, ..., one each."""
        return seed_range(self.seed, count, first)


class Outcome(NamedTuple):
    """What an application measured.

    Attributes:
        protocol: one or two sentences.
        metrics, compared: rows of apply.json.
        pictures: names of its PNG files, without the ending, in the order to be shown.
        regime: what long chains say of the model; of other applications None.
    """

    protocol: str
    metrics: Rows
    compared: Rows
    pictures: list[str]
    regime: Regime | None = None
