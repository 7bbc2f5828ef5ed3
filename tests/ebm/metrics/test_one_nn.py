import numpy as np
import pytest
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from ebm.metrics.one_nn import one_nn_accuracy


def test_accuracy_agrees_with_leave_one_out_of_sklearn() -> None:
    random = np.random.default_rng(0)
    a, b = random.standard_normal((40, 3)), random.standard_normal((40, 3)) * 1.3 + 0.8
    labels = np.repeat([0, 1], 40)
    model = KNeighborsClassifier(n_neighbors=1)
    scores = cross_val_score(model, np.concatenate([a, b]), labels, cv=LeaveOneOut())
    assert one_nn_accuracy(a, b) == pytest.approx(scores.mean(), rel=1e-12)
    assert 0.5 < one_nn_accuracy(a, b) < 1


def test_sets_of_one_distribution_have_a_half_and_far_sets_one() -> None:
    random = np.random.default_rng(1)
    a, b = random.standard_normal((1000, 2)), random.standard_normal((1000, 2))
    assert one_nn_accuracy(a, b) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(2000))
    assert one_nn_accuracy(a, b + 100) == 1


def test_near_copies_have_less_than_a_half() -> None:
    a = np.random.default_rng(2).standard_normal((50, 40))
    assert one_nn_accuracy(a, a + 1e-6) == 0
    assert one_nn_accuracy(a, a[::-1]) == 0


def test_ties_count_a_half() -> None:
    assert one_nn_accuracy(np.zeros((4, 2)), np.zeros((4, 2))) == 0.5


def test_sets_of_different_size_are_refused() -> None:
    with pytest.raises(ValueError, match="must be equal"):
        one_nn_accuracy(np.zeros((4, 2)), np.zeros((5, 2)))
