import numpy as np
import pytest
import torch

from ebm.apply.chain import Chain
from ebm.apply.interpolate import interpolate, largest_step, mix
from tests.ebm.apply.gaussian import Gaussian


def test_mixed_starts_run_from_z2_to_z1_and_keep_unit_variance() -> None:
    g = torch.Generator().manual_seed(0)
    z1, z2 = torch.randn(2, 3, 1, 64, 64, generator=g)
    starts = mix(z1, z2, 5)
    assert starts.shape == (3, 5, 1, 64, 64)
    torch.testing.assert_close(starts[:, 0], z2)
    torch.testing.assert_close(starts[:, -1], z1, atol=1e-6, rtol=0)
    torch.testing.assert_close(starts[:, 2], (z1 + z2) / 2**0.5)  # rho = sin(45 degrees)
    assert starts.var((2, 3, 4)).sub(1).abs().max() < 0.08


def test_strip_needs_two_frames() -> None:
    with pytest.raises(ValueError, match="frames is 1; a strip needs 2 or more"):
        mix(torch.zeros(1, 2), torch.zeros(1, 2), 1)


def test_all_of_a_strip_sees_the_same_noise() -> None:
    learner = Gaussian()
    strips, starts = interpolate(Chain(learner), [1, 2, 3], 6)
    noise = strips - learner.factor * starts  # what the chain added to its linear part
    assert np.abs(noise).max() > 0.1
    np.testing.assert_allclose(noise, np.broadcast_to(noise[:, :1], noise.shape), atol=1e-5)
    assert not np.allclose(noise[0], noise[1])


def test_strip_depends_on_its_own_seed_alone() -> None:
    chain = Chain(Gaussian())
    alone, _ = interpolate(chain, [2], 4)
    np.testing.assert_allclose(alone[0], interpolate(chain, [1, 2], 4)[0][1], atol=1e-6)


def test_largest_step_is_one_over_the_steps_of_a_line_and_one_of_a_jump() -> None:
    line = np.linspace(0, 1, 5, dtype=np.float32)[:, None, None] * np.ones((2, 2), np.float32)
    jump = np.repeat(np.array([0, 1], np.float32), [3, 2])[:, None, None] * np.ones((2, 2))
    np.testing.assert_allclose(largest_step(np.stack([line, jump])), [0.25, 1.0])
