"""The Gaussian nearest to a density: one direction of KL covers its modes, the other takes one."""

import math

import pytest
import torch

from ebm.datasets.densities import Mixture
from ebm.metrics.nearest_gaussian import covering, focusing
from ebm.metrics.quadrature import grid, kl, normalised, rim_mass, values

WHERE = grid(7.0, 140)
TWO = Mixture(torch.tensor([[-1.5, 0.0], [1.5, 0.0]]).double(), 0.3)
LOG_TWO = normalised(values(TWO.log_density, WHERE), WHERE)


def moments(log_p: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    mass, x = (log_p + WHERE.log_cell).exp(), WHERE.points.double()
    centred = x - mass @ x
    return mass @ x, (mass[:, None] * centred).T @ centred


def test_gaussian_of_the_moments_is_the_one_nearest_to_the_data() -> None:
    """Of an own Gaussian it is that one; of two modes no other Gaussian is nearer."""
    where = grid(6.0, 120)
    x = where.points.double()
    one = normalised(-((x - 0.5) ** 2 @ torch.tensor([0.5, 2.0]).double()), where)
    assert kl(one, covering(one, where), where) == pytest.approx(0, abs=1e-5)
    shift = torch.tensor([1.5, 0.0])
    two = torch.logaddexp(-((x - shift) ** 2).sum(1) / 2, -((x + shift) ** 2).sum(1) / 2)
    two = normalised(two, where)
    nearest = kl(two, covering(two, where), where)
    for scale in (0.8, 1.25):
        other = normalised(-(x.square() @ (scale / torch.tensor([6.5, 2.0]).double())), where)
        assert nearest < kl(two, other, where)
    assert rim_mass(covering(two, where), where) < 0.01


def test_covering_spreads_over_two_modes_and_focusing_takes_one() -> None:
    """Far modes: the moments are 1.5^2 + .3^2 and .3^2; one mode of two is log 2 nats away."""
    mean, covariance = moments(covering(LOG_TWO, WHERE))
    assert mean.abs().max() < 1e-6
    assert covariance.diagonal().tolist() == pytest.approx([2.34, 0.09], rel=0.01)
    starts = torch.tensor([[-1.2, 0.1], [-1.8, -0.1]])
    found = focusing(LOG_TWO, WHERE, starts, 0.4)
    mean, covariance = moments(found)
    assert mean.tolist() == pytest.approx([-1.5, 0.0], abs=1e-3)
    assert covariance.diagonal().tolist() == pytest.approx([0.09, 0.09], rel=0.01)
    assert kl(found, LOG_TWO, WHERE) == pytest.approx(math.log(2), abs=1e-3)
    assert kl(LOG_TWO, found, WHERE) > 10


def test_focusing_finds_a_gaussian_that_leans_and_takes_the_best_of_its_starts() -> None:
    x = WHERE.points.double() - 0.5
    precision = torch.tensor([[2.0, -1.0], [-1.0, 1.5]]).double()
    one = normalised(-(x @ precision * x).sum(1) / 2, WHERE)
    assert kl(focusing(one, WHERE, torch.zeros(1, 2), 0.5), one, WHERE) < 1e-4
    uneven = torch.logaddexp(LOG_TWO, one + math.log(9.0))
    uneven = normalised(uneven, WHERE)
    best = focusing(uneven, WHERE, torch.tensor([[-1.5, 0.0], [0.5, 0.5]]), 0.4)
    assert moments(best)[0].tolist() == pytest.approx([0.5, 0.5], abs=0.15)
