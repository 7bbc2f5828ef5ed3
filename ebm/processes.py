"""The processes that learn together: what `fit` asks of their group.

Each of W processes draws N / W examples of a batch of N, and as many samples by chains of its own.
The loss being a mean over either, the mean of the processes' gradients is that of the whole batch:

    1/W sum_w grad L_w = grad L

Whoever starts the processes provides the group: tasks/distributed.py does, through Lightning
Fabric. A process on its own asks nobody.
"""

import math
from typing import Any, Protocol

from torch import Tensor, nn

from ebm.samplers.noise import spawn

SHARED = ("networks", "optimisers")  # of a learner's state: the same in all processes
RANKS = 1_000_000  # key of the seeds of the processes after the first
APART = 1e-5  # relative difference of the parameters' norm, beyond rounding, that is an error


class Processes(Protocol):
    """One process's view of its group.

    Attributes:
        rank: its number, from 0; process 0 writes what is written.
        count: W, how many there are.
    """

    rank: int
    count: int

    def wrap(self, network: nn.Module) -> nn.Module:
        """Return what a loss goes through to the network, so that gradients become their means.

        The network's parameters and buffers become those of process 0.
        """

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean over the processes, the same on each; values are left as they are."""

    def gather(self, state: Any) -> list[Any]:
        """Return to process 0 the states of all, by rank; to the others an empty list."""


class Alone:
    """The only process."""

    rank, count = 0, 1

    def wrap(self, network: nn.Module) -> nn.Module:
        """Return the network."""
        return network

    def mean(self, values: Tensor) -> Tensor:
        """Return the values."""
        return values

    def gather(self, state: Any) -> list[Any]:
        """Return the one state."""
        return [state]


ALONE = Alone()


def check_division(batch: int, count: int) -> None:
    """Refuse a batch that processes cannot share equally, with two or more each.

    Raises:
        ValueError: naming both numbers.
    """
    if batch % count or batch < 2 * count:
        raise ValueError(
            f"batch is {batch} and there are {count} processes; give a multiple of {count}, "
            "at least twice it"
        )


def own_seed(seed: int, rank: int) -> int:
    """Return a process's seed; that of process 0 is the seed itself.

    The keys begin high, since a learner may draw others from its seed, by its rounds for one.
    """
    return spawn([seed], RANKS + rank)[0] if rank else seed


def check_together(processes: Processes, norm: Tensor, mean: float, step: int) -> None:
    """See that this process's parameters have the norm that they have on average.

    Args:
        processes: the group.
        norm: (), of this process's parameters.
        mean: of the processes' norms.
        step: the iteration.

    Raises:
        RuntimeError: they do not, so that the processes learn different things.
    """
    if processes.count == 1 or not math.isfinite(mean):
        return
    if abs(float(norm) - mean) > APART * mean:
        raise RuntimeError(
            f"the parameters of process {processes.rank} have the norm {float(norm):.8g} at "
            f"iteration {step}, and {mean:.8g} on average: the processes have come apart; all "
            "must read one checkpoint, and every loss go through `through`"
        )


def gathered(processes: Processes, state: dict[str, Any]) -> dict[str, Any]:
    """Return to process 0 its state of a run, with what the others have of their own."""
    own = {key: value for key, value in state["learner"].items() if key not in SHARED}
    others = processes.gather(own)[1:]
    return {**state, "others": others} if others else state


def own_part(processes: Processes, state: dict[str, Any]) -> dict[str, Any]:
    """Return what `gathered` returned to process 0 as it was in this process.

    Raises:
        ValueError: it is of another number of processes.
    """
    others = state.get("others", [])
    if len(others) + 1 != processes.count:
        raise ValueError(
            f"it holds the chains of {len(others) + 1} processes, and there are {processes.count}"
        )
    own = others[processes.rank - 1] if processes.rank else {}
    return {**state, "learner": {**state["learner"], **own}}
