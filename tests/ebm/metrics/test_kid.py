import numpy as np
import pytest
from sklearn.metrics.pairwise import polynomial_kernel

from ebm.metrics.kid import kid, squared_mmd


def direct(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased estimate by plain loops over pairs."""
    m, d = len(x), x.shape[1]
    k = [
        [[(float(np.dot(p, q)) / d + 1) ** 3 for q in second] for p in first]
        for first, second in ((x, x), (y, y), (x, y))
    ]
    within = sum(k[s][i][j] for s in (0, 1) for i in range(m) for j in range(m) if i != j)
    return within / (m * (m - 1)) - 2 * sum(map(sum, k[2])) / m**2


def sets(count: int, features: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    return random.standard_normal((count, features)), random.exponential(
        size=(count + 5, features)
    ) + shift


def test_estimate_agrees_with_a_direct_loop_over_pairs() -> None:
    x, y = sets(17, 6, 0.4)
    assert squared_mmd(x, y[:17]) == pytest.approx(direct(x, y[:17]), rel=1e-10)


def test_estimate_agrees_with_the_polynomial_kernel_of_sklearn() -> None:
    x, y = sets(60, 9, 0.1)
    y = y[:60]
    xx, yy, xy = (polynomial_kernel(*pair) for pair in ((x, x), (y, y), (x, y)))
    off = ~np.eye(60, dtype=bool)
    expected = xx[off].mean() + yy[off].mean() - 2 * xy.mean()
    assert squared_mmd(x, y) == pytest.approx(expected, rel=1e-10)


def test_whole_sets_are_one_subset_whatever_their_order() -> None:
    x, y = sets(20, 4, 0.2)
    found = kid(x, y[:20], subsets=3, size=20, seed=5)
    assert found == pytest.approx(np.full(3, direct(x, y[:20])), rel=1e-9)


def test_subsets_repeat_under_a_seed_and_differ_between_seeds() -> None:
    x, y = sets(40, 4, 0.2)
    chosen = {"subsets": 4, "size": 10}
    assert (kid(x, y, seed=1, **chosen) == kid(x, y, seed=1, **chosen)).all()
    assert (kid(x, y, seed=1, **chosen) != kid(x, y, seed=2, **chosen)).any()


def test_two_sets_of_one_distribution_have_expectation_zero() -> None:
    random = np.random.default_rng(2)
    found = [
        squared_mmd(random.standard_normal((12, 3)), random.standard_normal((12, 3)))
        for _ in range(3000)
    ]
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found)) < 4 * error < 0.1 * np.std(found)
    assert squared_mmd(np.zeros((5, 2)), np.ones((5, 2))) > 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": 21}, "2 to 20 rows"),
        ({"size": 1}, "1 subset at least"),
        ({"subsets": 0}, "0 subsets"),
    ],
)
def test_subsets_that_cannot_be_drawn_are_refused(changes: dict[str, int], words: str) -> None:
    x, y = sets(20, 4, 0.2)
    with pytest.raises(ValueError, match=words):
        kid(x, y, **{"subsets": 1, "size": 5, "seed": 0, **changes})


def test_sets_of_different_networks_are_refused() -> None:
    with pytest.raises(ValueError, match="one network"):
        kid(np.zeros((5, 2)), np.zeros((5, 3)), subsets=1, size=3, seed=0)
    with pytest.raises(ValueError, match="not finite"):
        kid(np.full((5, 2), np.inf), np.zeros((5, 2)), subsets=1, size=3, seed=0)
