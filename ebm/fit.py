"""The loop every learner shares: iterations, average, checkpoints, health and rollback."""

import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ebm.checkpoint import follow, read
from ebm.health import HISTORY, WINDOW, Verdict, advice, blamed, judge
from ebm.labels import fitting
from ebm.processes import (
    ALONE,
    Processes,
    check_division,
    check_together,
    gathered,
    own_part,
    own_seed,
)
from ebm.settings import Settings

REVISION = 1


class FitSettings(Settings):
    """How long and how a learner is run."""

    updates: int = Field(ge=1, description="iterations of learning")
    batch: int = Field(ge=2, description="data in an iteration; their variation is judged")
    average: float = Field(ge=0, lt=1, description="decay of the averaged parameters; 0 is none")
    final_rate: float = Field(gt=0, le=1, description="learning rate at the end over that at first")
    warm_up: int = Field(
        default=0,
        ge=0,
        exclude_if=lambda updates: not updates,
        description="iterations over which the learning rate rises to its full value",
    )
    check_every: int = Field(ge=1, description="iterations between looks of the judge")
    checkpoint_every: int = Field(ge=1, description="iterations between checkpoints")
    gap_limit: float = Field(gt=0, description="energy gap beyond which a run diverges, in nats")
    rollbacks: int = Field(ge=0, description="how often a broken run is taken back")
    slow_down: float = Field(gt=0, le=1, description="learning rate's factor after a rollback")


class Learner(Protocol):
    """What `fit` asks of a learner.

    Attributes:
        networks: all of them, by name.
        optimisers: each under the name of the network that it learns.
        generator: of the noise of data and chains; each process has another stream.
        device: where all of it lives.
        through: by the same names, what a loss goes through to a network: itself, or what makes
            the gradients of several processes one. Chains take the network.
        share: W, the number of processes; what a learner keeps for a whole batch is divided by it.
    """

    settings: Any
    networks: nn.Module
    optimisers: dict[str, torch.optim.Optimizer]
    generator: torch.Generator
    device: torch.device
    through: dict[str, nn.Module]
    share: int

    def prepare(self, x: Tensor) -> None:
        """Look at all training data once, before the first iteration."""

    def learn(self, batch: Tensor) -> dict[str, Tensor]:
        """Do one iteration; return its figures, each (). With labels: ebm/labels.py."""

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next iteration depends on.

        `networks` and `optimisers` are the same in all processes; all else is a process's own.
        """

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""


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


class Diverged(RuntimeError):
    """A run that could not be recovered.

    Attributes:
        curves: figure by iteration up to the break.
        events: rollbacks, and the break itself as the last.
        verdict: the judge's last word.
        advice: the likely cause, and what to try.
        good: what the learner's `load_state_dict` takes to be as it was at the last good state.
        broken: names of tensors of the learner's state that are not finite.
    """

    def __init__(
        self,
        message: str,
        *,
        curves: dict[str, list[float]],
        events: list[dict[str, Any]],
        verdict: Verdict,
        advice: str,
        good: dict[str, Any],
        broken: list[str],
    ) -> None:
        super().__init__(f"{message}: {verdict.evidence}; {advice}")
        self.curves, self.events, self.verdict, self.advice = curves, events, verdict, advice
        self.good, self.broken = good, broken


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
    if checkpoint and checkpoint.exists():
        run.resume(checkpoint)
    good = run.state_dict()
    while run.step < settings.updates:
        run.iterate()
        if run.step % settings.check_every and run.step < settings.updates:
            continue
        verdict = run.judge()
        if verdict.name == "diverging":
            run.roll_back(good, verdict)
            good = run.state_dict()
            continue
        report(Progress(run.step, settings.updates, run.figures(), verdict))
        if run.step % settings.checkpoint_every == 0 or run.step == settings.updates:
            good = run.state_dict()
            if checkpoint:
                whole = gathered(processes, good)
                if processes.rank == 0:
                    follow(checkpoint, whole)
    return Fitted(run.average.module, run.named_curves(), run.events, run.judge())


class Run:
    """The state of a run: everything that its next iteration depends on."""

    def __init__(
        self,
        learner: Learner,
        data: Tensor,
        settings: FitSettings,
        seed: int,
        processes: Processes = ALONE,
        labels: Tensor | None = None,
    ) -> None:
        check_division(settings.batch, processes.count)
        self.learner, self.settings, self.processes = learner, settings, processes
        self.data = data.to(learner.device)
        check_finite(self.data)
        self.beside = fitting(labels, self.data, learner)
        self.order = torch.Generator().manual_seed(seed)
        learner.generator.manual_seed(own_seed(seed + 1, processes.rank))
        learner.share = processes.count
        learner.prepare(self.data)
        for name in learner.optimisers:  # prepared parameters may differ until now
            learner.through[name] = processes.wrap(learner.networks.get_submodule(name))
        self.average = AveragedModel(
            learner.networks, multi_avg_fn=get_ema_multi_avg_fn(settings.average)
        )
        self.rates = {k: o.param_groups[0]["lr"] for k, o in learner.optimisers.items()}
        self.step, self.slow = 0, 1.0
        self.names: list[str] = []
        self.rows: list[Tensor] = []  # on the device, one row of figures an iteration
        self.curves: list[list[float]] = []
        self.events: list[dict[str, Any]] = []

    def iterate(self) -> None:
        """Draw a batch, set the rate, learn once, and average."""
        fraction = self.step / self.settings.updates
        factor = self.slow * (1 + (self.settings.final_rate - 1) * fraction)
        factor *= min(1.0, (self.step + 1) / (self.settings.warm_up or 1))
        for key, optimiser in self.learner.optimisers.items():
            for group in optimiser.param_groups:
                group["lr"] = self.rates[key] * factor
        rows = torch.randint(len(self.data), (self.settings.batch,), generator=self.order)
        rows = rows.tensor_split(self.processes.count)[self.processes.rank].to(self.data.device)
        figures = self.learner.learn(self.data[rows], *(each[rows] for each in self.beside))
        self.average.update_parameters(self.learner.networks)
        self.names = list(figures)
        self.rows.append(torch.stack([figures[name].float() for name in self.names]))
        self.step += 1

    def gather(self) -> bool:
        """Bring the figures of the last iterations to the host; tell if all parameters are finite.

        Both come in one transfer; the parameters' norm may overflow, so then each is looked at.
        The figures are the means over the processes, so that all judge alike.
        """
        norm = nn.utils.get_total_norm([p.detach() for p in self.learner.networks.parameters()])
        rows = [*self.rows, norm.to(self.learner.device).float()[None]]
        *values, size = self.processes.mean(torch.cat(rows)).tolist()
        check_together(self.processes, norm, size, self.step)
        width = max(1, len(self.names))
        self.curves += [values[i : i + width] for i in range(0, len(values), width)]
        self.rows = []
        return math.isfinite(size) or first_non_finite(self.learner.networks) is None

    def judge(self) -> Verdict:
        """Gather the figures and judge them, and the parameters' being finite."""
        finite = self.gather()
        for row in self.curves[-self.settings.check_every :]:
            if not all(map(math.isfinite, row)):
                return self.culprit(dict(zip(self.names, row, strict=True)))
        past = self.curves[: -WINDOW : max(1, len(self.curves) // HISTORY)]
        columns = self.columns(past + self.curves[-WINDOW:])
        verdict = judge(columns, self.settings.gap_limit)
        if finite:
            return verdict
        name = first_non_finite(self.learner.networks)
        return Verdict("diverging", f"parameter {name} is not finite", "parameter")

    def culprit(self, figures: dict[str, float]) -> Verdict:
        """Name what broke, by an iteration's figures of which one is not finite."""
        name = next(name for name, value in figures.items() if not math.isfinite(value))
        grid = name.rpartition("/")[0]
        beside = {k.rpartition("/"): math.isfinite(v) for k, v in figures.items()}
        sound = {figure: fine for (where, _, figure), fine in beside.items() if where == grid}
        if not sound.get("sd_data", True):
            told = "a batch held a value that is not finite, or too large to be squared"
            return Verdict("diverging", told, "data")
        broken = first_non_finite(self.learner.networks)
        told = f"{name} is not finite" + (f", nor is parameter {broken}" if broken else "")
        if not sound.get("f_data", True):
            return Verdict("diverging", told, "parameter")
        cause = blamed(figures, f"{grid}/" if grid else "", "chain")
        if cause == "chain":
            told = f"the chain broke while f on the data was finite: {told}"
        return Verdict("diverging", told, cause)

    def columns(self, rows: list[list[float]]) -> dict[str, list[float]]:
        """Return rows of figures, one an iteration, as figure by iteration."""
        return dict(zip(self.names, map(list, zip(*rows, strict=True)), strict=True))

    def roll_back(self, good: dict[str, Any], verdict: Verdict) -> None:
        """Go back to the last good state, slower; give up after too many times.

        Raises:
            Diverged: the settings allow no more rollbacks.
        """
        given_up = len(self.events) >= self.settings.rollbacks
        if given_up:
            verdict = self.blame(good, verdict)
        event = {"step": self.step, "back_to": good["step"], "reason": verdict.evidence}
        if given_up:
            raise Diverged(
                f"diverged at iteration {self.step} after {len(self.events)} rollbacks",
                curves=self.named_curves(),
                events=[*self.events, event],
                verdict=verdict,
                advice=advice(verdict.cause, self.learner.settings),
                good=good["learner"],
                broken=list(non_finite(self.learner.state_dict())),
            )
        events, slow = [*self.events, event], self.slow * self.settings.slow_down
        self.load_state_dict(good)
        self.events, self.slow = events, slow

    def blame(self, good: dict[str, Any], verdict: Verdict) -> Verdict:
        """Tell a chain that breaks by itself from one that learning broke.

        What was done since the last good state is done again with the parameters as they were. If
        that stays sound, and breaks with learning, the optimiser's steps were too large.
        """
        if verdict.cause != "chain":
            return verdict
        at_the_break, rate = self.state_dict(), self.slow
        learning = not self.breaks(good, 0.0) and self.breaks(good, rate)
        self.load_state_dict(at_the_break)
        if not learning:
            return verdict
        told = f"{verdict.evidence}; while the parameters are left as they were, chains stay sound"
        return Verdict("diverging", told, "parameter")

    def breaks(self, good: dict[str, Any], slow: float) -> bool:
        """Go back to the last good state and on to here; tell whether that breaks.

        Args:
            good: that state.
            slow: the learning rate's factor; 0 learns nothing.
        """
        last = self.step
        self.load_state_dict(good)
        self.slow = slow
        while self.step < last:
            self.iterate()
        finite, rows = self.gather(), self.curves[good["step"] :]
        if not finite or not all(map(math.isfinite, itertools.chain(*rows))):
            return True
        window = min(WINDOW, len(rows))
        verdict = judge(self.columns(rows), self.settings.gap_limit, window)
        return verdict.name == "diverging"

    def figures(self) -> dict[str, float]:
        """Return the last iteration's figures."""
        return dict(zip(self.names, self.curves[-1], strict=True))

    def named_curves(self) -> dict[str, list[float]]:
        """Return every figure by iteration, with the gap f(data) - f(samples) added."""
        columns = map(list, zip(*self.curves, strict=True))
        curves = dict(zip(self.names, columns, strict=True))
        for name in [n for n in curves if n.endswith("f_data")]:
            pairs = zip(curves[name], curves[name.replace("data", "samples")], strict=True)
            curves[name.replace("f_data", "gap")] = [a - b for a, b in pairs]
        return curves

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the state."""
        self.gather()
        return copy(
            {
                "step": self.step,
                "slow": self.slow,
                "names": self.names,
                "curves": torch.tensor(self.curves, dtype=torch.float64),
                "events": self.events,
                "order": self.order.get_state(),
                "learner": self.learner.state_dict(),
                "average": self.average.state_dict(),
            }
        )

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        state = copy(state)
        self.learner.load_state_dict(state["learner"])
        self.average.load_state_dict(state["average"])
        self.order.set_state(state["order"])
        self.step, self.slow, self.names = state["step"], state["slow"], state["names"]
        self.curves, self.events = state["curves"].tolist(), state["events"]
        self.rows = []

    def resume(self, checkpoint: Path) -> None:
        """Continue from a checkpoint.

        Raises:
            ValueError: it is damaged, or of another learner or other settings.
        """
        state = read(checkpoint)
        try:
            self.load_state_dict(own_part(self.processes, state))
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            first = str(error).strip().splitlines()[0]
            raise ValueError(
                f"checkpoint {checkpoint} is not of this run ({first}); remove it to start afresh"
            ) from error


def check_finite(data: Tensor) -> None:
    """Refuse data (M, ...) of which a value is not finite.

    Raises:
        ValueError: naming the first item that holds one.
    """
    bad = (~torch.isfinite(data.flatten(1))).any(1).nonzero()
    if len(bad):
        raise ValueError(
            f"the training data hold a value that is not finite, first in item {int(bad[0])}; "
            "mend or leave out that item and prepare the data again"
        )


def first_non_finite(networks: nn.Module) -> str | None:
    """Return the name of the first parameter that holds a value that is not finite."""
    found = networks.named_parameters()
    return next((name for name, value in found if not bool(torch.isfinite(value).all())), None)


def non_finite(state: Any, name: str = "") -> Iterator[str]:
    """Yield the dotted names of the tensors in a tree of dicts and lists that are not finite."""
    if isinstance(state, Tensor) and state.is_floating_point():
        if not bool(torch.isfinite(state).all()):
            yield name
    elif isinstance(state, dict | list):
        items = state.items() if isinstance(state, dict) else enumerate(state)
        for key, value in items:
            yield from non_finite(value, f"{name}.{key}" if name else str(key))


def copy(value: Any) -> Any:
    """Return a deep copy of a tree of dicts, lists and tensors, tensors detached."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copy(item) for item in value]
    return value
