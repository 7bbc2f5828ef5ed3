import pytest
import torch

from ebm.apply.chain import Chain, decades
from tests.ebm.apply.gaussian import Gaussian


def test_generator_is_the_chain_without_noise_and_has_its_exact_derivative() -> None:
    learner = Gaussian()
    chain = Chain(learner)
    z = chain.starts([1, 2]).requires_grad_()
    for segment in (None, 2):
        x = chain.generate(z, segment)
        torch.testing.assert_close(x, learner.factor * z)
        (slope,) = torch.autograd.grad(x.sum(), z)
        torch.testing.assert_close(slope, torch.full_like(z, learner.factor))


def test_chain_depends_on_its_own_seed_alone_and_runs_k_steps() -> None:
    chain = Chain(Gaussian())
    z = torch.zeros(3, 1, 4, 4)
    together = chain.run(z, [5, 6, 5])
    assert torch.equal(together[0], together[2]) and not torch.equal(together[0], together[1])
    torch.testing.assert_close(chain.run(z[:1], [6])[0], together[1])
    assert torch.equal(chain.run(z, [1, 2, 3], 0), z)
    assert torch.equal(chain.run(z, [5, 6, 5], chain.steps), together)


def test_long_chain_reaches_the_gaussian_from_anywhere_and_passes_its_marks() -> None:
    learner = Gaussian(sd=0.5, dt=0.1)
    chain = Chain(learner)
    far = torch.full((100, 1, 4, 4), 9.0)
    states = chain.run_to(far, list(range(100)), [1, 10, 200])
    assert len(states) == 3
    assert float(states[0].mean()) == pytest.approx(9 * (1 - 0.1 / 0.5), abs=0.05)
    right = 0.5 / (1 - 0.1 / (4 * 0.25)) ** 0.5  # the step size's bias included
    assert float(states[-1].std()) == pytest.approx(right, rel=0.06)
    assert abs(float(states[-1].mean())) < 0.05


def test_stretches_between_marks_have_noise_of_their_own() -> None:
    chain = Chain(Gaussian(sd=1e3, dt=1.0))  # next to no drift: a state's change is the noise
    first, second = chain.run_to(torch.zeros(1, 1, 4, 4), [3], [1, 2])
    assert not torch.allclose(first, second - first, atol=0.1)


def test_decades_end_at_the_last_step() -> None:
    assert decades(2000) == [1, 10, 100, 1000, 2000]
    assert decades(1000) == [1, 10, 100, 1000]
    assert decades(1) == [1]
