"""Room for stages on one machine: what fits beside what already runs, in cores and GPUs."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from flows.graph import DATA, Stage
from tasks.settings import Params

ON_GPU = ("train", "sample")  # stages that compute on the experiment's device; the others on a CPU


class Need(NamedTuple):
    """What a stage computes with."""

    cores: int = 1
    gpus: int = 0


def need_of(params: Params, stage: Stage) -> Need:
    """Return what a stage computes with, by its settings."""
    experiment = params.experiments.get(stage.name)
    if experiment is None or stage.verb in DATA:
        return Need()
    part = experiment.train.get(stage.part or "") if stage.verb == "train" else None
    processes = part.processes if part else 1
    on_gpu = experiment.device == "gpu" and stage.verb in ON_GPU
    return Need(experiment.threads * processes, processes if on_gpu else 0)


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Room:
    """What is free: a stage takes its cores and GPUs while it runs.

    Args:
        cores: of the machine.
        gpus: as CUDA_VISIBLE_DEVICES names them.
        most: stages at once.

    >>> room = Room(2, [], 9)
    >>> room.take("a", Need(1)), room.take("b", Need(2)), room.take("c", Need(1))
    (True, False, True)
    """

    def __init__(self, cores: int, gpus: Sequence[str], most: int) -> None:
        self.cores, self.most = cores, most
        self.gpus = list(gpus)
        self.taken: dict[str, tuple[int, list[str]]] = {}

    def take(self, address: str, need: Need) -> bool:
        """Take what a stage needs, or the whole machine where it needs more; tell whether it fits.

        A stage that finds the machine empty always fits: what it lacks, it says itself.
        """
        used = sum(cores for cores, _ in self.taken.values())
        free = [gpu for gpu in self.gpus if not any(gpu in held for _, held in self.taken.values())]
        wanted = min(need.gpus, len(self.gpus))
        fits = len(self.taken) < self.most and wanted <= len(free)
        if not fits or (self.taken and used + need.cores > self.cores):
            return False
        self.taken[address] = (need.cores, free[:wanted])
        return True

    def gpus_of(self, address: str) -> str | None:
        """Return the GPUs that a stage has taken, None where it has none."""
        return ",".join(self.taken[address][1]) or None

    def leave(self, address: str) -> None:
        """Give back what a stage has taken."""
        self.taken.pop(address, None)
