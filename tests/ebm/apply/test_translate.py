"""What translations keep and change, on images whose edges are known."""

import numpy as np
import pytest

from ebm.apply.translate import colours_matched, content, differences, edges, moved


def images(count: int = 5, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.uniform(-0.5, 0.5, (count, 3, 8, 8)).astype(np.float32)


def test_edges_are_the_lengths_of_the_grey_images_gradients() -> None:
    x = np.zeros((1, 3, 3, 3), np.float32)
    x[:, :, :, 1:] = 0.3  # a wall between the first two columns
    np.testing.assert_allclose(edges(x).reshape(2, 2), [[0.3, 0], [0.3, 0]], atol=1e-6)


def test_light_contrast_and_a_negative_keep_all_edges() -> None:
    x = images()
    for changed in (x + 0.2, 0.5 * x, -x):
        np.testing.assert_allclose(content(x, changed).own, 0, atol=1e-6)
        assert content(x, changed).nearest.all()


def test_differences_are_none_of_equals_two_of_opposites_and_one_of_what_is_flat() -> None:
    rows = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    right = [[0, 2, 1], [2, 0, 1], [1, 1, 1]]
    np.testing.assert_allclose(differences(rows, rows), right, atol=1e-12)


def test_another_sources_edges_are_farther_and_swapped_pairs_are_not_the_nearest() -> None:
    x = images()
    kept = content(x, x)
    assert kept.own.max() < 1e-9 and kept.other.min() > 0.5
    swapped = content(x, x[[1, 0, 2, 3, 4]])
    assert swapped.nearest.tolist() == [False, False, True, True, True]
    assert swapped.own[0] == pytest.approx(swapped.own[1])


def test_moved_is_the_root_mean_square_over_channels() -> None:
    x = np.zeros((1, 3, 2, 2), np.float32)
    y = x.copy()
    y[0, :, 0, 1] = [0.3, 0.0, 0.4]
    np.testing.assert_allclose(moved(x, y)[0], [[0, 0.5 / 3**0.5], [0, 0]], atol=1e-6)


def test_matched_colours_have_the_targets_mean_and_spread() -> None:
    source, target = images(50), 0.2 * images(40, 1) + 0.3
    made = colours_matched(source, source, target)
    for f in ("mean", "std"):
        right = getattr(target, f)((0, 2, 3))
        np.testing.assert_allclose(getattr(made, f)((0, 2, 3)), right, atol=1e-4)
    assert colours_matched(source, source, 9 * target).max() <= 1


@pytest.mark.parametrize(("sources", "ends"), [(1, 1), (3, 2)])
def test_sets_that_are_no_pairs_are_refused(sources: int, ends: int) -> None:
    with pytest.raises(ValueError, match=f"{sources} sources and {ends} translations"):
        content(images(sources), images(ends))
