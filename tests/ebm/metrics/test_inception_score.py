import math

import numpy as np
import pytest

from ebm.metrics.inception_score import inception_score


def direct(logits: np.ndarray) -> float:
    """The score by plain loops over images and classes."""
    given = [[math.exp(v) / sum(math.exp(w) for w in row) for v in row] for row in logits]
    mean = [sum(row[k] for row in given) / len(given) for k in range(len(given[0]))]
    total = 0.0
    for row in given:
        total += sum(p * math.log(p / m) for p, m in zip(row, mean, strict=True))
    return math.exp(total / len(given))


def test_score_agrees_with_a_direct_loop_in_each_split() -> None:
    logits = np.random.default_rng(0).standard_normal((60, 7)) * 3
    found = inception_score(logits, splits=3)
    assert found == pytest.approx([direct(logits[i : i + 20]) for i in (0, 20, 40)], rel=1e-10)


def test_score_of_constant_predictions_is_one() -> None:
    logits = np.tile(np.random.default_rng(1).standard_normal(10), (50, 1))
    assert inception_score(logits, splits=2) == pytest.approx([1, 1], abs=1e-12)


def test_score_of_confident_balanced_predictions_is_the_number_of_classes() -> None:
    logits = 2000.0 * np.eye(10)[np.arange(100) % 10]
    assert inception_score(logits, splits=1) == pytest.approx([10])


def test_confident_predictions_of_one_class_score_one() -> None:
    logits = 2000.0 * np.eye(10)[np.zeros(20, int)]
    assert inception_score(logits, splits=1) == pytest.approx([1])


@pytest.mark.parametrize(
    ("logits", "splits", "words"),
    [
        (np.zeros((4, 3)), 5, "splits is 5; it must be 1 to 4"),
        (np.zeros((4, 3)), 0, "splits is 0"),
        (np.zeros(4), 1, "shape"),
        (np.full((4, 3), np.inf), 1, "not finite"),
    ],
)
def test_what_has_no_score_is_refused(logits: np.ndarray, splits: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        inception_score(logits, splits)
