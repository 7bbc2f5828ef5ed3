"""The calibration error of answers whose error is known."""

import numpy as np
import pytest

from ebm.metrics.calibration import calibration, floor


def test_error_is_the_mean_gap_of_the_bins() -> None:
    confidence = np.array([0.9, 0.9, 0.9, 0.9, 0.5, 0.5])
    right = np.array([1, 1, 0, 0, 1, 1], dtype=bool)
    found = calibration(confidence, right, bins=10)
    assert found.error == pytest.approx((4 * 0.4 + 2 * 0.5) / 6)
    assert found.counts.sum() == 6 and found.accuracy[8] == 0.5
    assert np.isnan(found.accuracy[0])


def test_answers_by_the_stated_probabilities_come_to_the_floor() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 20000)
    right = rng.random(20000) < confidence
    chance = floor(confidence, seed=1)
    assert calibration(confidence, right).error < 2 * chance < 0.02
    assert calibration(np.ones(20000), right).error == pytest.approx(1 - right.mean())


def test_certain_and_right_has_no_error() -> None:
    assert calibration(np.ones(5), np.ones(5, dtype=bool)).error == 0


def test_what_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match="a confidence is no probability"):
        calibration(np.array([1.5]), np.array([True]))
    with pytest.raises(ValueError, match=r"confidences are \(2,\) and answers \(1,\)"):
        calibration(np.ones(2), np.array([True]))
