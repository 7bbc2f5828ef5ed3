"""Displacement errors, against sums written out one by one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebm.metrics.displacement import by_plan, independent

PLAN = [1, 3]


def one_by_one(
    plan: list, way: list, truth: list, true_plan: list
) -> tuple[float, float, float, float]:
    """The errors of one agent: least ADE, least FDE, then both by the nearest plan."""
    ades, fdes, plans, ends = [], [], [], []
    for p, y in zip(plan, way, strict=True):
        steps = [math.dist(a, b) for a, b in zip(y, truth, strict=True)]
        ades.append(sum(steps) / len(steps))
        fdes.append(steps[-1])
        plans.append(sum(math.dist(a, b) ** 2 for a, b in zip(p, true_plan, strict=True)))
        ends.append(math.dist(p[-1], true_plan[-1]))
    best = plans.index(min(plans))
    return min(ades), min(fdes), ades[best], ends[best]


@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 10**6))
def test_both_selections_are_those_of_sums_written_out(n: int, k: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    way, truth = random.normal(size=(n, k, 4, 2)), random.normal(size=(n, 4, 2))
    plan = way[:, :, PLAN] + 0.3 * random.normal(size=(n, k, 2, 2))
    free, chosen = independent(way, truth), by_plan(plan, way, truth, truth[:, PLAN])
    for i in range(n):
        right = one_by_one(*(each[i].tolist() for each in (plan, way, truth, truth[:, PLAN])))
        assert [free.ade[i], free.fde[i], chosen.ade[i], chosen.fde[i]] == pytest.approx(right)
    assert (free.ade <= chosen.ade + 1e-12).all()


def test_more_predictions_never_make_it_worse() -> None:
    random = np.random.default_rng(0)
    way, truth = random.normal(size=(9, 20, 12, 2)), random.normal(size=(9, 12, 2))
    many, few = independent(way, truth), independent(way[:, :5], truth)
    assert (many.ade <= few.ade).all() and (many.fde <= few.fde).all()
    assert independent(truth[:, None], truth).ade.max() == 0


def test_shapes_that_do_not_fit_are_refused() -> None:
    for shape in ((3, 0, 4, 2), (3, 2, 5, 2), (2, 2, 4, 2), (3, 4, 2)):
        with pytest.raises(ValueError, match=r"predictions are .* and the truth \(3, 4, 2\)"):
            independent(np.zeros(shape), np.zeros((3, 4, 2)))
