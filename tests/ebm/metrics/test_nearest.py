import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from ebm.metrics import nearest
from ebm.metrics.nearest import nearest_distances, nearest_rows


def images(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, 1, 4, 4)).astype(np.float32)


def test_distances_agree_with_a_direct_loop_in_any_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    x, training = images(11, 0), images(30, 1)
    expected = [min(np.sqrt(np.mean((a - b) ** 2.0)) for b in training) for a in x]
    assert nearest_distances(x, training) == pytest.approx(expected, rel=1e-6)
    monkeypatch.setattr(nearest, "ROWS", 90)  # three images at once
    assert nearest_distances(x, training) == pytest.approx(expected, rel=1e-6)


def test_a_copy_is_at_distance_zero_exactly() -> None:
    training = images(20, 2)
    assert (nearest_distances(training[5:9], training) == 0).all()


def test_a_shift_of_every_pixel_is_the_distance() -> None:
    training = images(1, 3)
    assert nearest_distances(training + np.float32(0.25), training) == pytest.approx(
        [0.25], rel=1e-6
    )


def test_images_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="the shapes must be equal"):
        nearest_distances(images(2, 0), np.zeros((3, 1, 8, 8), np.float32))
    with pytest.raises(ValueError, match="0 training images"):
        nearest_distances(images(2, 0), images(0, 0))


def test_nearest_rows_agree_with_sklearn_and_begin_at_the_nearest() -> None:
    x, training = images(7, 4), images(25, 5)
    flat = training.reshape(25, -1).astype(float)
    expected = NearestNeighbors(n_neighbors=4).fit(flat).kneighbors(x.reshape(7, -1))[1]
    found = nearest_rows(x, training, 4)
    assert (found == expected).all()
    gaps = np.sqrt(((x - training[found[:, 0]]) ** 2.0).mean((1, 2, 3)))
    assert gaps == pytest.approx(nearest_distances(x, training), rel=1e-6)


def test_more_neighbours_than_training_images_are_refused() -> None:
    with pytest.raises(ValueError, match="the 6 nearest of 5 training images"):
        nearest_rows(images(2, 0), images(5, 1), 6)
