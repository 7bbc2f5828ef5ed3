"""Going on as before."""

import numpy as np

from ebm.apply.extrapolate import constant_velocity, linear_fit


def test_steady_walk_is_continued_exactly_by_both() -> None:
    x = np.array([[1.0, 2.0], [-3.0, 0.5]])[:, None] + np.arange(20)[:, None] * np.array([0.4, -1])
    for ahead in (constant_velocity, linear_fit):
        assert np.allclose(ahead(x[:, :8], 12), x[:, 8:])


def test_linear_fit_is_that_of_polyfit_and_constant_velocity_sees_the_last_step() -> None:
    past = np.random.default_rng(0).normal(size=(3, 8, 2))
    for n in range(3):
        for axis in range(2):
            line = np.polyfit(np.arange(8), past[n, :, axis], 1)
            right = np.polyval(line, np.arange(8, 13))
            assert np.allclose(linear_fit(past, 5)[n, :, axis], right)
    step = past[:, 7] - past[:, 6]
    assert np.allclose(constant_velocity(past, 5)[:, 4], past[:, 7] + 5 * step)
