"""Dual averaging by itself."""

import pytest
import torch

from ebm.samplers.averaging import DualAveraging


def test_step_size_solves_for_the_acceptance_asked_for() -> None:
    """With the acceptance exp(-eps), that of .8 is at eps = -log .8."""
    averaging = DualAveraging(torch.tensor(3.0), 500, 0.8)
    for _ in range(500):
        averaging.learn((-averaging.step_size).exp())
    assert averaging.step_size.item() == pytest.approx(0.2231, rel=0.05)


def test_step_size_stays_when_adaptation_is_over_or_off() -> None:
    off = DualAveraging(torch.tensor(0.3), 0, 0.8)
    off.learn(torch.tensor(0.0))
    assert off.step_size.item() == pytest.approx(0.3)
    short = DualAveraging(torch.tensor(0.3), 2, 0.8)
    for _ in range(2):
        short.learn(torch.tensor(0.1))
    found = short.step_size.clone()
    short.learn(torch.tensor(0.1))
    assert torch.equal(short.step_size, found)


def test_first_step_is_that_of_the_formula() -> None:
    """Hbar_1 = (.8 - .5) / 11, log eps_1 = log 3 - Hbar_1 / .05."""
    averaging = DualAveraging(torch.tensor(0.3), 5, 0.8)
    averaging.learn(torch.tensor(0.5))
    right = torch.tensor(3.0).log() - 0.3 / 11 / 0.05
    assert averaging.step_size.log().item() == pytest.approx(right.item(), abs=1e-6)
