"""The judge on made-up curves."""

import math

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
