"""Effective sample size and R-hat, on chains whose answer is known."""

import pytest
import torch
from torch import Tensor

from ebm.samplers.ess import autocovariance, effective_sample_size, split_r_hat


def autoregressive(phi: float, chains: int = 64, steps: int = 4000, seed: int = 0) -> Tensor:
    """x_(t+1) = phi x_t + sqrt(1 - phi^2) e, begun at its N(0, 1): (chains, steps, 1)."""
    source = torch.Generator().manual_seed(seed)
    noise = torch.randn(steps, chains, generator=source)
    states = [noise[0]]
    for e in noise[1:]:
        states.append(phi * states[-1] + (1 - phi**2) ** 0.5 * e)
    return torch.stack(states, 1)[..., None]


@pytest.mark.parametrize("phi", [0.9, 0.5, 0.0, -0.5])
def test_size_is_that_of_the_autoregressive_process(phi: float) -> None:
    """sum_t rho_t is phi / (1 - phi), so n_eff is n (1 - phi) / (1 + phi)."""
    chains = autoregressive(phi)
    right = chains.numel() * (1 - phi) / (1 + phi)
    assert effective_sample_size(chains).item() == pytest.approx(right, rel=0.08)


def test_values_are_measured_apart() -> None:
    slow, fast = autoregressive(0.9), autoregressive(0.0)
    both = effective_sample_size(torch.cat([slow, fast], 2))
    assert torch.allclose(both, torch.cat([effective_sample_size(x) for x in (slow, fast)]))


def test_chains_that_disagree_are_worth_little_and_have_a_large_r_hat() -> None:
    chains = autoregressive(0.0, chains=4, steps=500)
    assert split_r_hat(chains).item() == pytest.approx(1, abs=0.01)
    apart = chains + 3.0 * torch.arange(4)[:, None, None]
    assert split_r_hat(apart) > 2
    assert effective_sample_size(apart) < 10


def test_r_hat_sees_a_drift_within_one_chain() -> None:
    drifting = autoregressive(0.0, chains=1, steps=501) + torch.linspace(-3, 3, 501)[:, None]
    assert split_r_hat(drifting) > 1.5


def test_r_hat_is_that_of_its_formula() -> None:
    """Halves (0, 1), (2, 3): W = .5, var of means 2, V = .25 + 2, R = sqrt(4.5)."""
    assert split_r_hat(torch.tensor([[[0.0], [1], [2], [3]]])).item() == pytest.approx(4.5**0.5)


def test_autocovariance_is_the_direct_sum() -> None:
    chains = torch.randn(2, 7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    away = chains - chains.mean(1, keepdim=True)
    for lag in range(7):
        right = (away[:, : 7 - lag] * away[:, lag:]).sum(1) / 7
        assert torch.allclose(autocovariance(chains)[:, lag], right)


@pytest.mark.parametrize("chains", [torch.zeros(3, 2, 1), torch.zeros(10, 10)])
def test_wrong_shapes_are_refused(chains: Tensor) -> None:
    for measure in (effective_sample_size, split_r_hat):
        with pytest.raises(ValueError, match=r"must be \(N, steps, D\) of at least 4 steps"):
            measure(chains)
