import numpy as np
import pytest
from scipy.spatial.distance import cdist

from ebm.metrics import distances
from ebm.metrics.distances import blocks, features


def whole(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.concatenate([squared for _, squared in blocks(x, y)])


def test_distances_agree_with_scipy_in_any_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    x, y = random.standard_normal((23, 5)) + 1e4, random.standard_normal((31, 5)) + 1e4
    expected = cdist(x, y, "sqeuclidean")
    assert whole(x, y) == pytest.approx(expected, rel=1e-8)
    monkeypatch.setattr(distances, "HELD", 62)  # two rows at once
    assert whole(x, y) == pytest.approx(expected, rel=1e-8)
    assert [rows for rows, _ in blocks(x, y)][-1] == slice(22, 23)


def test_equal_rows_are_at_distance_zero_exactly() -> None:
    x = np.random.default_rng(1).standard_normal((40, 300)) * 50
    assert (np.diag(whole(x, x)) == 0).all()
    assert (whole(x, x) == 0).sum() == 40


def test_sets_without_shape_or_value_are_refused() -> None:
    with pytest.raises(ValueError, match=r"a set of features has shape \(3,\)"):
        features(np.zeros(3), "a set", 2)
    with pytest.raises(ValueError, match="N at least 2"):
        features(np.zeros((1, 3)), "a set", 2)
    with pytest.raises(ValueError, match="not finite"):
        features(np.full((3, 3), np.nan), "a set", 2)
