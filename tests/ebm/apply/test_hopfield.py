"""Both sides of x = s^2 grad f(x), where f and the modes are known."""

import pytest
import torch
from torch import Tensor, nn

from ebm.apply.chain import Chain
from ebm.apply.hopfield import climb, correlation, error, expected, reconstruct
from tests.ebm.apply.gaussian import Gaussian

SD = 0.5
SLOPE = torch.linspace(-4.0, 4.0, 16).reshape(1, 1, 4, 4)


def linear(x: Tensor) -> Tensor:
    return (SLOPE * x).flatten(1).sum(1)


class Linear(Gaussian):
    """f(x) = <a, x> under N(0, s^2 I): p is N(s^2 a, s^2 I)."""

    def log_density(self, x: Tensor) -> Tensor:
        """Return log p up to a constant."""
        return linear(x) + super().log_density(x)


def test_gradient_is_of_f_alone_and_scaled_by_the_references_variance() -> None:
    x = torch.randn(3, 1, 4, 4)
    torch.testing.assert_close(reconstruct(linear, x, SD), (SD**2 * SLOPE).expand(3, 1, 4, 4))
    square = reconstruct(lambda x: x.flatten(1).square().sum(1), x, SD)
    torch.testing.assert_close(square, SD**2 * 2 * x)
    assert not x.requires_grad


def test_mode_is_reached_and_reconstructs_itself_and_a_chain_does_as_theory_says() -> None:
    learner = Linear(sd=SD, dt=0.02)
    chain, seeds = Chain(learner), list(range(400))
    x = chain.run(chain.starts(seeds), seeds, 300)
    mode = climb(learner, x, 400)
    torch.testing.assert_close(mode, (SD**2 * SLOPE).expand_as(mode), atol=1e-4, rtol=0)
    assert float(error(mode, reconstruct(linear, mode, SD)).max()) < 1e-3
    assert float(correlation(mode, reconstruct(linear, mode, SD)).min()) > 0.9999
    found = correlation(x, reconstruct(linear, x, SD)).mean()
    assert float(found) == pytest.approx(float(expected(x, SD).mean()), abs=0.05)
    assert 0.6 < float(found) < 0.9


def test_climbing_is_without_noise_and_leaves_the_learner_as_it_was() -> None:
    learner = Linear()
    learner.networks = nn.ModuleDict({"f": nn.Linear(2, 1)})
    x = torch.randn(2, 1, 4, 4)
    assert torch.equal(climb(learner, x, 3), climb(learner, x, 3))
    assert learner.networks.training
    assert all(p.requires_grad for p in learner.networks.parameters())


def test_correlation_and_error_are_those_of_each_item() -> None:
    x = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    y = torch.stack([2 * x[0] + 1, -x[1]])
    torch.testing.assert_close(correlation(x, y).float(), torch.tensor([1.0, -1.0]))
    torch.testing.assert_close(error(x, torch.stack([x[0], -x[1]])).float(), torch.tensor([0.0, 2]))
