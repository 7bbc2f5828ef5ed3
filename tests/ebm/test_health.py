"""The judge on made-up curves."""

import math
import random

import pytest

from ebm.health import judge


def curves(prefix: str = "8/", n: int = 60, **changes: float) -> dict[str, list[float]]:
    values = {
        "f_data": 1.0,
        "f_samples": 0.5,
        "strength": 1.0,
        "movement": 0.3,
        "sd_data": 0.5,
        "sd_samples": 0.5,
    }
    return {prefix + name: [value] * n for name, value in {**values, **changes}.items()}


@pytest.mark.parametrize(
    ("changes", "name", "evidence"),
    [
        ({}, "healthy", "gap 0.5"),
        ({"f_data": 30.0}, "diverging", "energy gap is 29.5, beyond the limit 20"),
        ({"f_data": -30.0}, "diverging", "energy gap is -30.5"),
        ({"strength": math.nan}, "diverging", "strength is not finite"),
        ({"f_samples": math.inf}, "diverging", "f_samples is not finite"),
        ({"sd_samples": 0.1}, "collapsed", "0.20 times"),
        ({"sd_samples": 0.8}, "saturated", "1.60 times"),
        ({"sd_samples": 5.1}, "diverging", "10.20 times"),
    ],
)
def test_verdict_follows_the_curves(changes: dict[str, float], name: str, evidence: str) -> None:
    verdict = judge(curves(**changes), gap_limit=20.0)
    assert verdict.name == name
    assert evidence in verdict.evidence and "grid 8" in verdict.evidence


def test_the_worst_grid_counts_and_is_named() -> None:
    grids = curves("2/") | curves("4/", sd_samples=0.01) | curves("8/", sd_samples=2.0)
    verdict = judge(grids, gap_limit=20.0)
    assert verdict.name == "collapsed" and "grid 4" in verdict.evidence


def test_collapse_is_not_called_before_a_window_has_passed() -> None:
    verdict = judge(curves(n=49, sd_samples=0.01), gap_limit=20.0)
    assert verdict.name == "healthy" and "too early" in verdict.evidence
    assert judge(curves(n=50, sd_samples=0.01), gap_limit=20.0).name == "collapsed"


def test_divergence_is_called_at_once() -> None:
    assert judge(curves(n=1, f_data=100.0), gap_limit=20.0).name == "diverging"


def test_only_the_last_iterations_are_judged() -> None:
    past = curves(n=100, sd_samples=0.01)
    recent = curves(n=50)
    joined = {name: past[name] + recent[name] for name in past}
    assert judge(joined, gap_limit=20.0).name == "healthy"


def test_curves_without_grids_are_judged_too() -> None:
    assert judge(curves(prefix=""), gap_limit=20.0).name == "healthy"


def course(*gaps: float, scale: float = 1.0, sd: float = 0.27) -> dict[str, list[float]]:
    """The curves of a grid whose gap swings about 0 by these, as a batch makes it swing."""
    noise = random.Random(0)
    swings = [scale * gap * noise.uniform(0.5, 1.5) * noise.choice([-1, 1]) for gap in gaps]
    flat = {"strength": 1.0, "movement": 0.3, "sd_data": 0.27, "sd_samples": sd}
    steady = {name: [value] * len(gaps) for name, value in flat.items()}
    return {"f_data": swings, "f_samples": [0.0] * len(gaps), **steady}


TRANSIENT = [7 * math.exp(-step / 12) for step in range(60)]  # the first tens of iterations
CALM = [*TRANSIENT, *[0.02] * 1440]
EXPLOSION = [0.02 * 250 ** (step / 300) for step in range(300)]  # from .02 to 5: faces at 16x16


def alarm(gaps: list[float], limit: float = 20.0, scale: float = 1.0) -> int | None:
    """The first iteration at which the judge calls a run diverging, looking at every fifth."""
    curves = course(*gaps, scale=scale)
    for step in range(5, len(gaps) + 1, 5):
        seen = {name: values[:step] for name, values in curves.items()}
        if judge(seen, gap_limit=limit).name == "diverging":
            return step
    return None


@pytest.mark.parametrize("scale", [0.1, 1.0, 100.0])
def test_explosion_below_the_limit_is_seen_in_its_rise_at_any_scale(scale: float) -> None:
    at = alarm(CALM + EXPLOSION, limit=20.0 * scale, scale=scale)
    assert at and 1500 < at < 1500 + 260  # before the gap is 2.5, an eighth of the limit


def test_explosion_is_told_with_what_was_usual() -> None:
    verdict = judge(course(*CALM, *EXPLOSION), gap_limit=20.0)
    assert verdict.name == "diverging" and verdict.cause == "gap"
    assert "exploded to" in verdict.evidence and "was usual in this run" in verdict.evidence


@pytest.mark.parametrize(
    "gaps",
    [
        CALM,
        [0.001] * 10 + CALM,  # a warm-up, in which f is near 0
        [7.0] * 30 + [0.3] * 500 + [0.02] * 500,
        [0.01 + 0.0005 * step for step in range(2000)],  # f sharpens: a hundred times in all
        [0.02 * 1.0012**step for step in range(2500)],  # twenty times in all, and slowly
        [*CALM, 4.0, *[0.02] * 100],  # one batch that is unlike the others
        [0.0003] * 500 + [0.05] * 200,  # grid 2 of the digits begins to learn
    ],
    ids=["calm", "warm-up", "decaying", "sharpening", "growing", "spike", "awakening"],
)
def test_what_is_ordinary_gives_no_alarm(gaps: list[float]) -> None:
    assert alarm(gaps) is None


def test_history_that_is_too_short_is_no_measure() -> None:
    assert judge(course(*[0.02] * 140, *[2.0] * 50), gap_limit=20.0).name == "healthy"
    assert judge(course(*[0.02] * 160, *[2.0] * 50), gap_limit=20.0).name == "diverging"


@pytest.mark.parametrize(("sd", "cause"), [(0.27, "gap"), (0.42, "gap"), (27.0, "chain")])
def test_samples_that_left_the_data_point_to_the_chain(sd: float, cause: str) -> None:
    curves = course(*[30.0] * 60, sd=sd)
    curves["f_data"] = [30.0] * 60
    assert judge(curves, gap_limit=20.0)[::2] == ("diverging", cause)
