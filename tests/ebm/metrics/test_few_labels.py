import numpy as np
import pytest

from ebm.metrics.few_labels import Splits, draw_labels, few_labels, standardise


def blobs(count: int, seed: int, apart: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    """Three Gaussian classes in the plane, and a third feature that is constant."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, count)
    centres = apart * np.array([[0.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    return np.hstack([centres[y] + random.standard_normal((count, 2)), np.ones((count, 1))]), y


def splits(apart: float = 4.0) -> Splits:
    return Splits(blobs(300, 0, apart), blobs(100, 1, apart), blobs(100, 2, apart))


def test_draws_are_stratified_to_one_and_have_no_row_twice() -> None:
    y = blobs(300, 0)[1]
    for count in (3, 10, 20):
        rows = draw_labels(y, count, seed=4)
        found = np.bincount(y[rows], minlength=3)
        assert len(set(rows.tolist())) == count == len(rows)
        assert found.max() - found.min() <= 1


def test_draws_repeat_under_a_seed_and_differ_between_seeds() -> None:
    y = blobs(300, 0)[1]
    assert (draw_labels(y, 12, seed=1) == draw_labels(y, 12, seed=1)).all()
    assert (draw_labels(y, 12, seed=1) != draw_labels(y, 12, seed=2)).any()


def test_classes_that_can_be_told_apart_are_told_apart() -> None:
    found = few_labels(splits(), [draw_labels(splits().train[1], 9, s) for s in (0, 1)], [1.0])
    assert found.errors.shape == (2,)
    assert (found.errors < 0.05).all()


def test_labels_that_say_nothing_leave_the_error_of_guessing() -> None:
    found = few_labels(splits(0.0), [draw_labels(splits(0.0).train[1], 30, 0)], [0.1])
    assert 0.5 < found.errors[0] < 0.85


def test_only_the_drawn_training_rows_are_learned_from() -> None:
    given, rows = splits(), draw_labels(splits().train[1], 9, 0)
    h, y = given.train
    scrambled = np.random.default_rng(0).permutation(y)
    scrambled[rows] = y[rows]
    same = given._replace(train=(h, scrambled))
    assert few_labels(same, [rows], [1.0]).errors == few_labels(given, [rows], [1.0]).errors


def test_regularisation_is_chosen_on_validation_never_on_test() -> None:
    given = splits(1.0)
    draws = [draw_labels(given.train[1], 12, s) for s in (0, 1, 2)]
    strengths = [1e-6, 1e-2, 1.0, 100.0]
    found = few_labels(given, draws, strengths)
    blind = given._replace(test=(given.test[0], np.roll(given.test[1], 1)))
    assert few_labels(blind, draws, strengths).strength == found.strength
    alone = {c: few_labels(given._replace(test=given.validation), draws, [c]) for c in strengths}
    assert alone[found.strength].errors.mean() == min(a.errors.mean() for a in alone.values())


def test_standardising_uses_the_training_rows_and_silences_constants() -> None:
    scaled = standardise(splits())
    assert scaled.train[0].mean(0) == pytest.approx([0, 0, 0], abs=1e-12)
    assert scaled.train[0].std(0) == pytest.approx([1, 1, 0], abs=1e-12)
    mean, deviation = splits().train[0].mean(0)[:2], splits().train[0].std(0)[:2]
    assert scaled.test[0][:, :2] == pytest.approx((splits().test[0][:, :2] - mean) / deviation)


def test_counts_that_cannot_be_drawn_are_refused() -> None:
    y = np.array([0] * 10 + [1] * 2)
    with pytest.raises(ValueError, match="1 labels are asked for; with 2 classes it must be 2"):
        draw_labels(y, 1, seed=0)
    with pytest.raises(ValueError, match="has only 2 of it"):
        draw_labels(y, 8, seed=0)


def test_strengths_that_are_not_positive_are_refused() -> None:
    with pytest.raises(ValueError, match="strengths above 0"):
        few_labels(splits(), [np.arange(20)], [0.0, 1.0])
