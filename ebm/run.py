"""The state of a run: iterations, average, curves, looks of the judge, and the way back."""

import itertools
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ebm.checkpoint import read
from ebm.finite import check_finite, first_non_finite, non_finite
from ebm.health import HISTORY, WINDOW, Diverged, Verdict, advice, culprit, judge
from ebm.labels import fitting
from ebm.learner import FitSettings, Learner
from ebm.processes import ALONE, Processes, check_division, check_together, own_part, own_seed

REVISION = 1


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
                broken = first_non_finite(self.learner.networks)
                return culprit(dict(zip(self.names, row, strict=True)), broken)
        past = self.curves[: -WINDOW : max(1, len(self.curves) // HISTORY)]
        columns = self.columns(past + self.curves[-WINDOW:])
        verdict = judge(columns, self.settings.gap_limit)
        if finite:
            return verdict
        name = first_non_finite(self.learner.networks)
        return Verdict("diverging", f"parameter {name} is not finite", "parameter")

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


def copy(value: Any) -> Any:
    """Return a deep copy of a tree of dicts, lists and tensors, tensors detached."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copy(item) for item in value]
    return value
