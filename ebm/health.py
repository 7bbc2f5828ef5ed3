"""The first judge of a run: from its curves, healthy, saturated, diverging or collapsed.

Curves are named GRID/FIGURE (or FIGURE alone): f_data, f_samples, strength, movement, sd_data,
sd_samples. Their reading is explained in docs/curves.md.

Source: Nijkamp, Hill, Han, Zhu, Wu, "On the Anatomy of MCMC-Based Maximum Likelihood Learning of
Energy-Based Models", AAAI 2020, arXiv:1903.12370 (energy gap and gradient strength).
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from ebm.settings import Settings

REVISION = 1

SATURATED = 1.5  # samples vary this many times as much as the data
COLLAPSED = 0.3  # samples vary less than this share of the data's variation
FLED = 10.0  # samples that vary this many times as much as the data have left them for good
EXPLODED = 20.0  # a gap this many times its own history's median; healthy runs stay below 2
LEAST = 0.01  # share of the gap limit below which a gap, however it grew, is no explosion
WINDOW = 50  # iterations judged
CALM = 150  # iterations of history that a gap is held against
HISTORY = 200  # iterations of it that are looked at, at least, evenly spread

FLIGHT = f", and samples vary over {FLED:g} times as much as the data"

CAUSES = {
    "data": "the data, not the learning; prepare the data again",
    "chain": "Langevin steps that overshoot",
    "parameter": "steps of the optimiser that are too large",
    "gap": "learning that outruns sampling",
}
REMEDIES = {  # by cause, in the order to be tried, each by the setting that it needs
    "data": {},
    "chain": {
        "step_size": "a smaller step_size",
        "step_scale": "a smaller step_scale",
        "bounds": "bounds",
        "clip": "a clip",
    },
    "parameter": {
        "rate": "a smaller rate",
        "gradient_clip": "gradient_clip",
        "spectral": "spectral normalisation",
    },
    "gap": {"rate": "a smaller rate", "data_noise": "more data_noise", "decay": "a larger decay"},
}


class Verdict(NamedTuple):
    """What the judge says, the evidence in one sentence, and a cause, one of CAUSES."""

    name: str
    evidence: str
    cause: str = ""


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


def advice(cause: str, settings: Settings | None) -> str:
    """Say what is likely to be wrong, and what to try of what the learner's settings have."""
    there = names(settings)
    tries = [told for name, told in REMEDIES[cause].items() if name in there]
    told = f"likely cause: {CAUSES[cause]}"
    return f"{told}; try {', then '.join(tries)}" if tries else told


def names(settings: Any) -> set[str]:
    """Return the name of every setting in a tree of groups and lists, options left out included."""
    if isinstance(settings, list):
        return set().union(*map(names, settings))
    if not isinstance(settings, Settings):
        return set()
    own = type(settings).model_fields
    return set(own).union(*(names(getattr(settings, name)) for name in own))


def judge(curves: Mapping[str, Sequence[float]], gap_limit: float, window: int = WINDOW) -> Verdict:
    """Judge the last `window` iterations of the curves, the gap against those before as well.

    Args:
        curves: figure by iteration, as `fit` records them; those before the window may be thinned.
        gap_limit: the largest mean |f(data) - f(samples)| of a run that converges, in nats.
        window: iterations looked at; fewer at the start.

    Returns:
        `diverging` where a figure is not finite, the gap is beyond the limit or has left its own
        history, or samples have left the data for good; `collapsed` where samples hardly vary;
        `saturated` where they vary far more than the data; else `healthy`. The worst over the
        grids counts.
    """
    verdicts = [judge_grid(curves, prefix, gap_limit, window) for prefix in prefixes(curves)]
    order = ["diverging", "collapsed", "saturated", "healthy"]
    return min(verdicts, key=lambda v: order.index(v.name))


def prefixes(curves: Mapping[str, Sequence[float]]) -> list[str]:
    """Return the grids that the curves speak of, each with its slash."""
    return [name.removesuffix("f_data") for name in curves if name.endswith("f_data")]


def judge_grid(
    curves: Mapping[str, Sequence[float]], prefix: str, gap_limit: float, window: int
) -> Verdict:
    """Judge one grid."""
    where = f"grid {prefix.rstrip('/')}: " if prefix else ""
    for name in curves:
        if name.startswith(prefix) and not math.isfinite(curves[name][-1]):
            told = f"{where}{name.removeprefix(prefix)} is not finite"
            return Verdict("diverging", told, "parameter")
    pairs = zip(curves[prefix + "f_data"], curves[prefix + "f_samples"], strict=True)
    gaps = [data - samples for data, samples in pairs]
    f_data, f_samples = (mean(curves[prefix + f"f_{of}"][-window:]) for of in ("data", "samples"))
    gap = f_data - f_samples
    samples, data = (mean(curves[prefix + f"sd_{of}"][-window:]) for of in ("samples", "data"))
    ratio = samples / max(data, 1e-12)
    if fault := wrong(gap, gaps, gap_limit, window):
        fled = ratio > FLED
        told = where + fault + (FLIGHT if fled else "")
        return Verdict("diverging", told, blamed(curves, prefix, "chain" if fled else "gap"))
    if len(gaps) < window:
        return Verdict("healthy", f"{where}too early to tell more than that all is finite")
    evidence = f"{where}gap {gap:.3g}, samples vary {ratio:.2f} times as much as the data"
    if ratio > FLED:
        return Verdict("diverging", evidence, blamed(curves, prefix, "chain"))
    if ratio > SATURATED:
        return Verdict("saturated", evidence)
    if ratio < COLLAPSED:
        return Verdict("collapsed", evidence)
    return Verdict("healthy", evidence)


def blamed(figures: Collection[str], prefix: str, cause: str) -> str:
    """Return the cause; where no chain runs, neither it nor sampling is to blame."""
    return cause if f"{prefix}movement" in figures else "parameter"


def culprit(figures: Mapping[str, float], broken: str | None) -> Verdict:
    """Name what broke, by an iteration's figures of which one is not finite.

    Args:
        broken: the name of a parameter that is not finite, None where all are.
    """
    name = next(name for name, value in figures.items() if not math.isfinite(value))
    grid = name.rpartition("/")[0]
    beside = {k.rpartition("/"): math.isfinite(v) for k, v in figures.items()}
    sound = {figure: fine for (where, _, figure), fine in beside.items() if where == grid}
    if not sound.get("sd_data", True):
        told = "a batch held a value that is not finite, or too large to be squared"
        return Verdict("diverging", told, "data")
    told = f"{name} is not finite" + (f", nor is parameter {broken}" if broken else "")
    if not sound.get("f_data", True):
        return Verdict("diverging", told, "parameter")
    cause = blamed(figures, f"{grid}/" if grid else "", "chain")
    if cause == "chain":
        told = f"the chain broke while f on the data was finite: {told}"
    return Verdict("diverging", told, cause)


def wrong(gap: float, gaps: Sequence[float], gap_limit: float, window: int) -> str | None:
    """Say what is wrong with the gap: its mean beyond the limit, or out of its own history.

    What is usual is the median of |gap| before the window: the large gaps of the first tens of
    iterations raise it by little and never lower it, so they give no alarm. It has no unit, so it
    holds for energies of any scale.
    """
    if abs(gap) > gap_limit:
        return f"the energy gap is {gap:.3g}, beyond the limit {gap_limit:g}"
    past = gaps[:-window]
    if len(past) < CALM:
        return None
    now, usual = (median([abs(g) for g in part]) for part in (gaps[-window:], past))
    if now <= max(EXPLODED * usual, LEAST * gap_limit):
        return None
    return f"the energy gap exploded to {now:.3g}; {usual:.3g} was usual in this run"


def median(values: Sequence[float]) -> float:
    """Return the middle value, the upper of two."""
    return sorted(values)[len(values) // 2]


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean."""
    return sum(values) / len(values)
