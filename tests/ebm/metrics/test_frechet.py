import numpy as np
import pytest
from scipy.linalg import sqrtm

from ebm.metrics.frechet import frechet_distance


def with_moments(mean: np.ndarray, root: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Rows whose mean is `mean` and whose covariance is root^T root, to rounding."""
    x = np.random.default_rng(seed).standard_normal((count, len(mean)))
    x -= x.mean(0)
    white = np.linalg.qr(x)[0] * np.sqrt(count - 1)
    return mean + white @ root


def test_distance_of_commuting_gaussians_is_that_of_their_deviations() -> None:
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))[0]
    sd_a, sd_b = np.array([1.0, 2.0, 0.5, 3.0]), np.array([2.0, 2.0, 0.1, 1.0])
    mean_a, mean_b = np.zeros(4), np.array([1.0, -1.0, 0.5, 2.0])
    a = with_moments(mean_a, np.diag(sd_a) @ basis, 50, 1)
    b = with_moments(mean_b, np.diag(sd_b) @ basis, 60, 2)
    expected = ((mean_a - mean_b) ** 2).sum() + ((sd_a - sd_b) ** 2).sum()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-10)


def test_distance_agrees_with_the_matrix_square_root() -> None:
    random = np.random.default_rng(3)
    a = random.standard_normal((200, 12)) @ random.standard_normal((12, 12)) + 1
    b = random.exponential(size=(150, 12)) @ random.standard_normal((12, 12))
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum()
    expected += np.trace(cov_a + cov_b - 2 * sqrtm(cov_a @ cov_b).real)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-4)


def test_distance_is_symmetric_and_zero_from_a_set_to_itself() -> None:
    random = np.random.default_rng(4)
    a, b = random.standard_normal((30, 5)), random.standard_normal((40, 5)) * 2
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-12)
    assert frechet_distance(a, a[::-1]) == pytest.approx(0, abs=1e-10)


def test_dead_features_leave_the_distance_sound() -> None:
    random = np.random.default_rng(5)
    a, b = random.standard_normal((30, 3)), random.standard_normal((30, 3)) + 2
    dead = [np.hstack([x, np.full((30, 2), 7.0), x[:, :1]]) for x in (a, b)]
    again = [np.hstack([x, x[:, :1]]) for x in (a, b)]
    assert frechet_distance(*dead) == pytest.approx(frechet_distance(*again), rel=1e-6)


def test_float32_features_are_measured_in_float64() -> None:
    random = np.random.default_rng(6)
    a = (random.standard_normal((100, 4)) + 1e4).astype(np.float32)
    b = (random.standard_normal((100, 4)) + 1e4).astype(np.float32)
    expected = frechet_distance(a.astype(np.float64) - 1e4, b.astype(np.float64) - 1e4)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        (np.zeros((8, 8)), np.zeros((9, 8)), "first set has 8 rows of 8 features"),
        (np.zeros((9, 8)), np.zeros((3, 8)), "second set has 3 rows of 8 features"),
        (np.zeros((9, 8)), np.zeros((9, 7)), "8 and 7 features"),
        (np.zeros(9), np.zeros((9, 7)), "shape"),
        (np.full((9, 2), np.nan), np.zeros((9, 2)), "not finite"),
    ],
)
def test_sets_that_cannot_be_measured_are_refused(a: np.ndarray, b: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        frechet_distance(a, b)
