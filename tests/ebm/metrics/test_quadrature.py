"""Quadrature gives what closed forms give."""

import math

import pytest
import torch
from torch import Tensor

from ebm.metrics.quadrature import grid, judge, kl, log_z, normalised, rim_mass, values


def gaussian(mean: float, sd: float, level: float = 0.0):
    """Return log N(x; (mean, 0), sd^2 I) + level."""

    def log_density(x: Tensor) -> Tensor:
        centre = torch.tensor([mean, 0.0])
        squares = (x - centre).double().square().sum(1)
        return level - squares / (2 * sd**2) - math.log(2 * math.pi * sd**2)

    return log_density


def closed_kl(m: float, s: float, n: float, t: float) -> float:
    """KL(N((m, 0), s^2 I), N((n, 0), t^2 I)) in two dimensions."""
    return 2 * math.log(t / s) + s**2 / t**2 - 1 + (m - n) ** 2 / (2 * t**2)


WHERE = grid(8.0, 200)


def test_log_z_is_that_of_the_closed_form_also_where_exp_would_overflow() -> None:
    for level in (0.0, 3.0, 2000.0, -2000.0):
        assert log_z(values(gaussian(0.5, 0.9, level), WHERE), WHERE) == pytest.approx(
            level, abs=1e-6
        )


def test_both_divergences_are_those_of_two_gaussians_in_their_order() -> None:
    one, other = gaussian(0.3, 0.6), gaussian(-0.4, 1.0, level=7.0)
    judged = judge(other, one, WHERE)
    assert judged.kl_data_model == pytest.approx(closed_kl(0.3, 0.6, -0.4, 1.0), abs=1e-4)
    assert judged.kl_model_data == pytest.approx(closed_kl(-0.4, 1.0, 0.3, 0.6), abs=1e-4)
    assert abs(judged.kl_data_model - judged.kl_model_data) > 0.5
    assert judged.log_z == pytest.approx(7.0, abs=1e-4) and judged.rim < 1e-6


def test_divergence_of_a_density_from_itself_is_zero_and_none_where_it_has_no_mass() -> None:
    p = normalised(values(gaussian(0.0, 0.02), grid(2.0, 100)), grid(2.0, 100))
    assert kl(p, p, grid(2.0, 100)) == 0
    half = torch.where(torch.arange(len(p)) % 2 == 0, p, -torch.inf)
    assert math.isfinite(kl(normalised(half, WHERE), p, WHERE))
    assert kl(p, half, grid(2.0, 100)) == math.inf


def test_box_that_loses_the_data_is_refused() -> None:
    with pytest.raises(ValueError, match=r"half side 1.0 .* give a larger half"):
        judge(gaussian(0, 1), gaussian(0, 1), grid(1.0, 50))


def test_grid_too_coarse_for_the_data_is_refused() -> None:
    with pytest.raises(ValueError, match="or more cells"):
        judge(gaussian(0, 1), gaussian(0.1, 0.05), grid(8.0, 20))


def test_tails_that_a_box_cuts_are_seen_at_its_rim() -> None:
    flat = normalised(values(lambda x: torch.zeros(len(x)), WHERE), WHERE)
    assert rim_mass(flat, WHERE) == pytest.approx(1 - 0.95**2, abs=0.01)


def test_model_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not a number, or infinite"):
        judge(lambda x: torch.full((len(x),), math.nan), gaussian(0, 1), WHERE)


def test_grid_is_read_as_rows_of_y_and_columns_of_x() -> None:
    points = grid(1.0, 4).points.reshape(4, 4, 2)
    assert points[0, :, 0].tolist() == [-0.75, -0.25, 0.25, 0.75]
    assert points[:, 0, 1].tolist() == [-0.75, -0.25, 0.25, 0.75]


def test_empty_grids_are_refused() -> None:
    for half, count in ((0.0, 10), (1.0, 1)):
        with pytest.raises(ValueError, match="positive half and 2 or more"):
            grid(half, count)
