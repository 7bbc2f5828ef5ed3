"""The loop every learner shares: iterations, average, checkpoints, health and rollback."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from ebm.health import Verdict
from ebm.learner import FitSettings, Learner
from ebm.past import Past
from ebm.processes import ALONE, Processes
from ebm.run import Run

REVISION = 1


class Progress(NamedTuple):
    """Where a run stands; handed to `report` after every look of the judge."""

    step: int
    steps: int
    figures: dict[str, float]
    verdict: Verdict


class Fitted(NamedTuple):
    """What a run leaves.

    Attributes:
        networks: the averaged networks, which samples are drawn with.
        curves: figure by iteration, with the energy gap of each grid.
        events: rollbacks, each with its step and reason.
        verdict: the judge's last word.
    """

    networks: nn.Module
    curves: dict[str, list[float]]
    events: list[dict[str, Any]]
    verdict: Verdict


def fit(
    learner: Learner,
    data: Tensor,
    settings: FitSettings,
    *,
    seed: int,
    checkpoint: Path | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    processes: Processes = ALONE,
    labels: Tensor | None = None,
) -> Fitted:
    """Run a learner on data, and go on from the checkpoint where there is one.

    The same learner, data, settings, seed, number of threads and of processes give the same bits,
    in one run or in several that were cut off anywhere.

    Args:
        learner: freshly built; it is changed.
        data: (M, ...), all training data, in the learner's range.
        seed: of the order of the data and of the chains' noise.
        checkpoint: a file that is read at the start, and replaced as the run goes on; the one
            before it is kept beside it (`ebm.checkpoint.mend`).
        report: told after every look of the judge.
        processes: those that run this together; each calls it with the same arguments, and all
            get the same networks, curves and verdicts. Process 0 writes the checkpoint.
        labels: (M,), classes of the data, for a learner that is `labelled`.

    Raises:
        Diverged: the run broke more often than `settings.rollbacks` allows.
        RuntimeError: the processes' parameters have come apart.
        ValueError: the data hold a value that is not finite, or do not fit the learner; the
            checkpoint is damaged or not of this run; a batch cannot be divided.
    """
    run = Run(learner, data, settings, seed, processes, labels)
    past = Past(run, checkpoint)
    while run.step < settings.updates:
        run.iterate()
        if run.step % settings.check_every and run.step < settings.updates:
            continue
        verdict = run.judge()
        if verdict.name == "diverging":
            past.roll_back(verdict)
            continue
        report(Progress(run.step, settings.updates, run.figures(), verdict))
        if past.is_due():
            past.keep()
    return Fitted(run.average.module, run.named_curves(), run.events, run.judge())
