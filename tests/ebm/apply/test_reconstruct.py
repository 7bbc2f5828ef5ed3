import numpy as np
import pytest
import torch

from ebm.apply.chain import Chain
from ebm.apply.reconstruct import reconstruct, size
from tests.ebm.apply.gaussian import Gaussian

X = torch.linspace(-1, 1, 32).reshape(2, 1, 4, 4)


def test_search_finds_the_start_that_the_chain_turns_into_the_image() -> None:
    learner = Gaussian(sd=0.7)
    found = reconstruct(Chain(learner), X, [1, 2], iterations=400, rate=0.05)
    np.testing.assert_allclose(found.z, X.numpy() / learner.factor, atol=0.02)
    assert found.errors.shape == (401, 2)
    assert (found.errors[-1] < 1e-4).all()


def test_first_error_is_that_of_a_start_and_kept_images_are_m_of_z() -> None:
    learner = Gaussian()
    chain = Chain(learner)
    found = reconstruct(chain, X, [1, 2], iterations=10, rate=0.05, keep=[0, 10])
    start = learner.factor * chain.starts([1, 2])
    np.testing.assert_allclose(found.path[0], start.numpy(), atol=1e-6)
    np.testing.assert_allclose(found.errors[0], (start - X).square().mean((1, 2, 3)).numpy())
    np.testing.assert_allclose(found.path[10], learner.factor * found.z, atol=1e-6)
    assert sorted(found.path) == [0, 10]


def test_image_is_reconstructed_alike_whatever_stands_beside_it() -> None:
    chain = Chain(Gaussian())
    both = reconstruct(chain, X, [1, 2], iterations=20, rate=0.05)
    alone = reconstruct(chain, X[1:], [2], iterations=20, rate=0.05, segment=2)
    np.testing.assert_allclose(alone.z[0], both.z[1], atol=1e-5)


def test_size_is_the_root_mean_square() -> None:
    assert size(np.full((2, 3), -2.0, np.float32)) == pytest.approx(2.0)
