"""A learner's own Langevin chain, at rest: from noise, from data, and as a generator x = M(z).

What it asks of a learner: `noise(count, seeds)`, starts (N, ...), one a seed; `log_density`,
(N, ...) to (N,); `networks`; `device`; and `settings.chain`, a `ebm.learn.parts.ChainSettings`.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from ebm.learn.parts import at_rest
from ebm.samplers.noise import spawn
from ebm.samplers.unrolled import unrolled

REVISION = 1

STARTS, STEPS = 1, 2  # keys of the seeds of a chain's start and of its noise


class Chain:
    """The chain that a learner was trained with.

    Args:
        learner: as above; it is not changed.
    """

    def __init__(self, learner: Any) -> None:
        self.learner, self.settings = learner, learner.settings.chain

    @property
    def steps(self) -> int:
        """K, the steps of a chain while the model learned."""
        return int(self.settings.steps)

    def starts(self, seeds: Sequence[int]) -> Tensor:
        """Return starts from noise, (N, ...), one a seed."""
        z: Tensor = self.learner.noise(len(seeds), spawn(seeds, STARTS))
        return z

    def run(self, x: Tensor, seeds: Sequence[int], steps: int | None = None) -> Tensor:
        """Return where chains from x: (N, ...) end after `steps`, None is K, each by its seed.

        Two chains with one seed see the same noise e: M(., e) is then one function of x.
        """
        with self.rest():
            end, _ = self.settings.run(
                self.learner.log_density,
                x.to(self.learner.device),
                steps=self.steps if steps is None else steps,
                seeds=spawn(seeds, STEPS),
            )
        return end  # type: ignore[no-any-return]

    def run_to(self, x: Tensor, seeds: Sequence[int], marks: Sequence[int]) -> list[Tensor]:
        """Return the states of chains from x: (N, ...) after so many steps, in rising order.

        Each stretch between two marks has noise of its own.
        """
        states, before = [], 0
        for stretch, mark in enumerate(marks):
            x = self.run(x, spawn(seeds, stretch), mark - before)
            states.append(x)
            before = mark
        return states

    def generate(self, z: Tensor, segment: int | None = None) -> Tensor:
        """Return M(z), (N, ...), K steps with the noise off, differentiable in z: (N, ...).

        Both it and the backward pass must stand under `rest`.

        Args:
            segment: steps whose graph is held at a time; None holds all.
        """
        return unrolled(
            self.learner.log_density,
            z,
            steps=self.steps,
            step_size=self.settings.step_size,
            noise=0.0,
            bounds=self.settings.box,
            clip=self.settings.clip,
            segment=segment,
        )

    def score(self, x: Tensor) -> Tensor:
        """Return log p(x) up to a constant, (N,), of x: (N, ...)."""
        with self.rest(), torch.no_grad():
            value: Tensor = self.learner.log_density(x.to(self.learner.device))
        return value

    def rest(self) -> AbstractContextManager[nn.Module]:
        """Hold the networks' parameters fixed while the block lasts."""
        return at_rest(self.learner.networks)


def generator(learner: Any) -> Any:
    """Return what makes images of starts: the learner, if it has its own way, else its chain.

    It has `starts(seeds)`, (N, ...), and `run(starts, seeds)`, (N, ...).
    """
    return learner if hasattr(learner, "run") else Chain(learner)


def decades(last: int) -> list[int]:
    """Return 1, 10, 100, ... up to `last`, which stands at the end.

    >>> decades(2000)
    [1, 10, 100, 1000, 2000]
    """
    marks = [10**power for power in range(len(str(last))) if 10**power < last]
    return [*marks, last]
