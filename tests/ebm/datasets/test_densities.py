"""The two-dimensional densities are what their samples say, and integrate to one."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ebm.datasets.densities import DENSITIES, Mixture, Options, density, load
from ebm.metrics.quadrature import grid, log_z, values

FORMULAS = Path("ebm/datasets/densities.py")


def drawn(name: str, count: int, seed: int = 0) -> torch.Tensor:
    return density(name).sample(count, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", DENSITIES)
def test_density_integrates_to_one(name: str) -> None:
    where = grid(3.0, 150)
    assert abs(log_z(values(density(name).log_density, where), where)) < 1e-3


@pytest.mark.parametrize("name", DENSITIES)
def test_samples_are_of_the_density(name: str) -> None:
    """Mean log density of samples against its expectation by quadrature, in standard errors."""
    where, truth = grid(3.0, 150), density(name)
    log_p = values(truth.log_density, where)
    mass = (log_p + where.log_cell).exp()
    found = truth.log_density(drawn(name, 4000))
    error = float(found.std()) / 4000**0.5
    assert abs(float(found.mean()) - float((mass * log_p).sum())) < 4 * error
    mean = (mass[:, None] * where.points).sum(0)
    assert torch.allclose(drawn(name, 4000).double().mean(0), mean, atol=0.06)


def test_log_density_is_that_of_the_mixture_written_out() -> None:
    centres = torch.tensor([[0.0, 0.0], [1.0, 2.0]], dtype=torch.float64)
    x = torch.tensor([[0.3, -0.2]])
    each = [
        torch.distributions.MultivariateNormal(c, 0.25 * torch.eye(2)).log_prob(x[0])
        for c in centres.float()
    ]
    expected = torch.logsumexp(torch.stack(each), 0) - np.log(2)
    assert float(Mixture(centres, 0.5).log_density(x)[0]) == pytest.approx(float(expected), 1e-5)


def test_log_density_stays_finite_far_away() -> None:
    assert torch.isfinite(density("rings").log_density(torch.tensor([[1e4, 0.0]]))).all()


def test_same_seed_gives_the_same_points_and_another_others() -> None:
    assert torch.equal(drawn("moons", 9, 1), drawn("moons", 9, 1))
    assert not torch.equal(drawn("moons", 9, 1), drawn("moons", 9, 2))


def test_loader_gives_points_with_one_label_and_their_bounds() -> None:
    options = Options(density="pinwheel", count=50, seed=3)
    loaded = load(FORMULAS, options)
    assert loaded.images.shape == (50, 2) and loaded.images.dtype == np.float32
    assert loaded.labels.shape == (50,) and not loaded.labels.any()
    assert loaded.bounds == (loaded.images.min(), loaded.images.max())
    assert np.array_equal(loaded.images, load(FORMULAS, options).images)


def test_unknown_density_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="no density 'ring'; did you mean rings"):
        density("ring")
