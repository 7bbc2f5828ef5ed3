"""The first judge of a run: from its curves, healthy, saturated, diverging or collapsed.

Curves are named GRID/FIGURE (or FIGURE alone): f_data, f_samples, strength, movement, sd_data,
sd_samples. Their reading is explained in docs/curves.md.

Source: Nijkamp, Hill, Han, Zhu, Wu, "On the Anatomy of MCMC-Based Maximum Likelihood Learning of
Energy-Based Models", AAAI 2020, arXiv:1903.12370 (energy gap and gradient strength).
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

REVISION = 1

SATURATED = 1.5  # samples vary this many times as much as the data
COLLAPSED = 0.3  # samples vary less than this share of the data's variation


class Verdict(NamedTuple):
    """What the judge says, and the evidence in one sentence."""

    name: str
    evidence: str


def judge(curves: Mapping[str, Sequence[float]], gap_limit: float, window: int = 50) -> Verdict:
    """Judge the last `window` iterations of the curves.

    Args:
        curves: figure by iteration, as `fit` records them.
        gap_limit: the largest mean |f(data) - f(samples)| of a run that converges, in nats.
        window: iterations looked at; fewer at the start.

    Returns:
        `diverging` where a figure is not finite or the gap is beyond the limit, `collapsed`
        where samples hardly vary, `saturated` where they vary far more than the data, else
        `healthy`. The worst over the grids counts.
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
            return Verdict("diverging", f"{where}{name.removeprefix(prefix)} is not finite")
    recent = {name: curves[prefix + name][-window:] for name in ("f_data", "f_samples")}
    gap = mean(recent["f_data"]) - mean(recent["f_samples"])
    if abs(gap) > gap_limit:
        return Verdict(
            "diverging", f"{where}the energy gap is {gap:.3g}, beyond the limit {gap_limit:g}"
        )
    if len(curves[prefix + "f_data"]) < window:
        return Verdict("healthy", f"{where}too early to tell more than that all is finite")
    ratio = mean(curves[prefix + "sd_samples"][-window:]) / max(
        mean(curves[prefix + "sd_data"][-window:]), 1e-12
    )
    evidence = f"{where}gap {gap:.3g}, samples vary {ratio:.2f} times as much as the data"
    if ratio > SATURATED:
        return Verdict("saturated", evidence)
    if ratio < COLLAPSED:
        return Verdict("collapsed", evidence)
    return Verdict("healthy", evidence)


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean."""
    return sum(values) / len(values)
