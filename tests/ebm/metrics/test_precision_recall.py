import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from ebm.metrics.precision_recall import precision, recall


def direct(real: np.ndarray, samples: np.ndarray, k: int) -> float:
    """Precision by plain loops, and the neighbours of sklearn."""
    far = NearestNeighbors(n_neighbors=k + 1).fit(real).kneighbors(real)[0][:, k]
    hits = [
        any(np.linalg.norm(s - r) <= radius for r, radius in zip(real, far, strict=True))
        for s in samples
    ]
    return sum(hits) / len(hits)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_precision_and_recall_agree_with_direct_loops(k: int) -> None:
    random = np.random.default_rng(k)
    real, samples = random.standard_normal((60, 4)), 1.2 * random.standard_normal((60, 4)) + 1.2
    assert precision(real, samples, k) == direct(real, samples, k)
    assert recall(real, samples, k) == direct(samples, real, k)
    assert 0 < precision(real, samples, k) < 1 and 0 < recall(real, samples, k) < 1


def test_copies_of_all_real_images_have_both_in_full() -> None:
    real = np.random.default_rng(0).standard_normal((50, 300)) * 9
    assert precision(real, real[::-1], 3) == recall(real, real[::-1], 3) == 1


def test_copies_of_one_kind_have_precision_without_recall() -> None:
    random = np.random.default_rng(1)
    real = np.concatenate([random.standard_normal((30, 3)), random.standard_normal((30, 3)) + 50])
    samples = np.concatenate([real[:30], real[:30] + 1e-3])
    assert precision(real, samples, 3) == 1
    assert recall(real, samples, 3) <= 0.5


def test_sets_far_apart_have_neither() -> None:
    random = np.random.default_rng(2)
    real, samples = random.standard_normal((40, 3)), random.standard_normal((40, 3)) + 100
    assert precision(real, samples, 3) == recall(real, samples, 3) == 0


def test_equal_sets_of_equal_points_count_the_edge_of_a_ball() -> None:
    assert precision(np.zeros((5, 2)), np.zeros((5, 2)), 3) == 1
    assert precision(np.array([[0.0], [1.0]]), np.array([[2.0], [2.01]]), 1) == 0.5


@pytest.mark.parametrize(
    ("shape", "k", "words"),
    [((5, 2), 5, "neighbours 1 to 4"), ((5, 2), 0, "neighbours is 0"), ((6, 2), 1, "equal")],
)
def test_what_has_no_neighbours_is_refused(shape: tuple[int, int], k: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        precision(np.zeros((5, 2)), np.zeros(shape), k)
