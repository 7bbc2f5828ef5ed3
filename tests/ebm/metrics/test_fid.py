import numpy as np
import pytest
from scipy.linalg import sqrtm

from ebm.metrics import fid as module
from ebm.metrics.fid import check_count, fid, fid_moments
from ebm.metrics.frechet import between


def test_fid_is_the_paper_formula_with_the_matrix_square_root(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "FEATURES", 16)
    monkeypatch.setattr(module, "FEWEST", 16)
    random = np.random.default_rng(0)
    a = random.exponential(size=(90, 16)) @ random.standard_normal((16, 16))
    b = random.standard_normal((120, 16)) + 0.3
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum()
    expected += np.trace(cov_a + cov_b - 2 * sqrtm(cov_a @ cov_b).real)
    assert fid(a, b) == pytest.approx(expected, rel=1e-4)
    assert between(fid_moments(a, "a"), fid_moments(b, "b")) == fid(a, b)
    assert fid(a, a[::-1]) == pytest.approx(0, abs=1e-9)


def test_fewer_than_2048_images_on_either_side_are_refused() -> None:
    few, enough = np.zeros((2047, 2048), np.float32), np.zeros((2048, 2048), np.float32)
    with pytest.raises(ValueError, match=r"first set has 2047 images; FID needs 2,048 or more"):
        fid(few, enough)
    with pytest.raises(ValueError, match=r"second set has 2047 images"):
        fid_moments(few, "the second set")
    check_count(2048, "a set")


def test_other_features_than_inceptions_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(3000, 64\); for FID it must be \(N, 2048\)"):
        fid(np.zeros((3000, 64)), np.zeros((3000, 64)))


def test_features_that_are_not_finite_are_refused() -> None:
    broken = np.zeros((2048, 2048), np.float32)
    broken[3, 4] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        fid_moments(broken, "a set")
