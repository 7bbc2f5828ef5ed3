"""The sign of f, and what is written once for every system."""

import pytest
import torch
from torch import Tensor, nn

from ebm.energy import contrast, frozen, tilt


def flat(x: Tensor) -> Tensor:
    return x.flatten(1).sum(1) * 0


def test_tilting_adds_the_gaussian_reference() -> None:
    x = torch.randn(6, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    normal = torch.distributions.Normal(0.0, 0.7)
    exact = normal.log_prob(x).flatten(1).sum(1)
    tilted = tilt(flat, 0.7)(x)
    assert torch.allclose(tilted - tilted[0], exact - exact[0], atol=1e-5)


def test_uniform_reference_leaves_f_as_it_is() -> None:
    assert tilt(flat) is flat


@pytest.mark.parametrize("sd", [0.0, -1.0])
def test_reference_without_width_is_refused(sd: float) -> None:
    with pytest.raises(ValueError, match=f"sd is {sd}"):
        tilt(flat, sd)


def test_frozen_network_gets_no_gradient_and_is_restored() -> None:
    network = nn.Linear(3, 1)
    network.bias.requires_grad_(False)
    x = torch.ones(2, 3, requires_grad=True)
    with frozen(network):
        network(x).sum().backward()
    assert network.weight.grad is None and x.grad is not None
    assert network.weight.requires_grad and not network.bias.requires_grad


def test_frozen_network_is_restored_after_an_error() -> None:
    network = nn.Linear(3, 1)
    with pytest.raises(RuntimeError), frozen(network):
        raise RuntimeError
    assert network.weight.requires_grad


def test_descending_the_contrast_raises_f_on_data_and_lowers_it_on_samples() -> None:
    f_data = torch.zeros(4, requires_grad=True)
    f_samples = torch.zeros(2, requires_grad=True)
    contrast(f_data, f_samples).backward()
    assert torch.equal(f_data.grad, torch.full((4,), -1 / 4))
    assert torch.equal(f_samples.grad, torch.full((2,), 1 / 2))


def test_decay_adds_the_mean_squared_energies() -> None:
    f_data, f_samples = torch.tensor([1.0, 3.0]), torch.tensor([2.0])
    assert contrast(f_data, f_samples, 0.5).item() == pytest.approx(2 - 2 + 0.5 * (5 + 4))
