"""Anomalies: the split without its digit, and the areas against a brute force."""

import numpy as np
import pytest

from ebm.datasets.mnist_anomaly import split
from ebm.metrics.anomaly import least, ranked


def test_the_digit_is_in_no_part_that_is_learned_from_and_in_both_tests() -> None:
    labels = np.random.default_rng(0).integers(0, 10, 1000)
    learned, a, more = split(labels, 3, seed=1)
    assert not (labels[learned] == 3).any() and (labels[more] == 3).all()
    assert len(a) == 200 and 0 < (labels[a] == 3).sum() < 60
    assert sorted([*learned, *a, *more]) == list(range(1000))
    b = np.concatenate([a, more])
    assert (labels[b] == 3).sum() == (labels == 3).sum()


def test_average_precision_is_the_mean_precision_at_each_anomaly() -> None:
    random = np.random.default_rng(0)
    scores, strange = random.permutation(200).astype(float), random.random(200) < 0.2
    order = strange[np.argsort(-scores)]
    precision = np.cumsum(order) / np.arange(1, 201)
    found = ranked(scores, strange)
    assert found.average_precision == pytest.approx(precision[order].mean())
    above = (scores[strange][:, None] > scores[~strange]).mean()
    assert found.auroc == pytest.approx(above)
    assert found.lift == pytest.approx(found.average_precision / strange.mean())


def test_ends_of_the_scale() -> None:
    strange = np.arange(100) < 10
    assert ranked(-np.arange(100.0), strange).average_precision == pytest.approx(1)
    worst = ranked(np.arange(100.0), strange).average_precision
    assert worst == pytest.approx(least(0.1), abs=0.005)


def test_one_kind_alone_cannot_be_ranked() -> None:
    with pytest.raises(ValueError, match="0 of 4 are anomalies"):
        ranked(np.arange(4.0), np.zeros(4, bool))
