"""Diffusion recovery likelihood: the published schedule, and posteriors that are known."""

from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from ebm.fit import fit
from ebm.learn.parts import settled
from ebm.learn.recovery import Recovery, schedule
from ebm.learn.recovery_settings import RecoverySettings
from ebm.learner import FitSettings
from ebm.networks.time_resnet import TimeResNet

LEVELS = [0, 100, 200, 300, 400, 500, 999]
B = 2e-4**0.5


def settings(**changes: Any) -> RecoverySettings:
    network = {"kind": "time_resnet", "size": 4, "channels": 1, "width": 4, "multiples": [1]}
    return RecoverySettings.model_validate(
        {
            "network": {**network, "blocks": 1, "stride": 1},
            "levels": LEVELS,
            "chain": {"steps": 5, "step_scale": B, "temperature": 1.0},
            "optimiser": {"kind": "adam", "rate": 0.001, "momentum": 0.9},
            "spectral": True,
            **changes,
        }
    )


def test_schedule_is_the_published_one() -> None:
    """arXiv:2012.08125, T = 6: the figures that its code computes, to their digits."""
    made = schedule(LEVELS, B)
    table = {
        "a": [0.946, 0.856, 0.775, 0.701, 0.634, 1.0],
        "sigma": [0.324, 0.517, 0.632, 0.713, 0.773, 1.0],
        "noise": [0.010, 0.324, 0.586, 0.778, 0.898, 0.960],
        "step": [0.0046, 0.042, 0.069, 0.089, 0.104, 0.139],
        "weight": [1.0, 0.627, 0.512, 0.454, 0.419, 0.324],
    }
    for name, figures in table.items():
        found = getattr(made, name).tolist()
        assert found == pytest.approx(figures, rel=0.02), name
    assert made.pull.tolist() == pytest.approx([*(1 / made.sigma[:5].square()).tolist(), 0.0])


def test_without_f_the_posterior_is_normal_about_the_noisier_image() -> None:
    """p(y | x) = N(x, sigma^2 I) at f = 0; a step of s^2 leaves its mean, and its variance."""
    torch.manual_seed(0)
    learner = Recovery(settings(chain={"steps": 5, "step_scale": 0.05, "temperature": 1.0}))
    t = torch.full((4000,), 2)
    x = torch.full((4000, 1, 4, 4), 0.7)
    with settled(learner.f):
        y, _ = learner.chain(x, t, temperature=1.0, steps=400, generator=torch.Generator())
    sigma = float(learner.schedule.sigma[2])
    assert float(y.mean()) == pytest.approx(0.7, abs=4 * sigma / (4000 * 16) ** 0.5)
    bias = 1 / (1 - (float(learner.schedule.step[2]) / sigma) ** 2 / 4)  # of the step size
    assert float(y.var()) == pytest.approx(sigma**2 * bias, rel=0.02)


class Bowl(nn.Module):
    """f(y, t) = -c_t |y|^2 / 2, a number c for each level."""

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.c = nn.Parameter(torch.zeros(levels))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return -self.c[t] * x.flatten(1).square().sum(1) / 2


def test_on_gaussian_data_the_learned_curvature_is_the_known_one() -> None:
    """y_t ~ N(0, v) has the log density -|y|^2 / (2 v), which is f / s^2: c = s^2 / v."""
    torch.manual_seed(0)
    chain = {"steps": 40, "step_scale": 0.3, "temperature": 1.0}
    learner = Recovery(settings(chain=chain, levels=[300, 400, 500, 999]))
    learner.networks["f"] = Bowl(3)
    learner.through = {"f": learner.f}
    learner.optimisers = {"f": torch.optim.SGD(learner.f.parameters(), 0.3)}
    s, sd = learner.schedule, 0.5
    learner.f.c.register_hook(lambda g: g * s.step.square() / s.weight)  # type: ignore[union-attr, operator]
    fit_settings = FitSettings.model_validate(
        {
            **{"updates": 150, "batch": 600, "average": 0.95, "final_rate": 0.1},
            **{"check_every": 50, "checkpoint_every": 150, "gap_limit": 1e6},
            **{"rollbacks": 0, "slow_down": 1.0},
        }
    )
    fitted = fit(learner, sd * torch.randn(20000, 1, 4, 4), fit_settings, seed=0)
    variance = s.a.square() * (s.signal.square() * sd**2 + s.noise.square())
    found = fitted.networks.get_submodule("f").c * variance / s.step.square()
    assert found.tolist() == pytest.approx([1.0] * 3, abs=0.1)


def test_held_pixels_stay_and_an_image_depends_on_its_own_seed() -> None:
    torch.manual_seed(0)
    learner = Recovery(settings())
    nn.init.normal_(learner.f.head.weight, std=0.1)  # type: ignore[union-attr, arg-type]
    image = torch.rand(3, 1, 4, 4) * 2 - 1
    mask = torch.rand(3, 1, 4, 4) < 0.5
    filled = learner.sample([1, 2, 3], fixed=(image, mask))[4][-1]
    assert torch.equal(filled[mask], image[mask])
    assert not torch.equal(filled[~mask], image[~mask])
    together, alone = learner.sample([5, 6])[4][-1], learner.sample([6])[4][-1]
    assert torch.allclose(together[1:], alone, atol=1e-5)


def test_path_goes_from_noise_to_the_image() -> None:
    learner = Recovery(settings())
    states = learner.sample([1, 2], keep=5)[4]
    assert torch.equal(states[0], learner.starts([1, 2]))
    assert torch.equal(states[-1], learner.sample([1, 2])[4][-1])


def test_recovering_for_longer_goes_on_from_where_it_was() -> None:
    learner = Recovery(settings())
    x_t, x_next = learner.noisy(torch.zeros(2, 1, 4, 4), 1, [1, 2])
    assert x_t.shape == x_next.shape == (2, 1, 4, 4)
    short = learner.recover(x_next, 1, [1, 2], [5])
    both = learner.recover(x_next, 1, [1, 2], [5, 9])
    assert torch.equal(short[0], both[0]) and not torch.equal(*both)


def test_what_does_not_fit_is_refused_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="levels is .* must rise"):
        settings(levels=[0, 200, 100])
    with pytest.raises(ValueError, match="last step is 999"):
        settings(levels=[0, 1000])
    with pytest.raises(ValueError, match="11 images for 6 levels"):
        Recovery(settings()).learn(torch.zeros(11, 1, 4, 4))
    with pytest.raises(ValueError, match="items are of shape"):
        Recovery(settings()).prepare(torch.zeros(2, 1, 8, 8))


def test_of_unit_codes_each_level_has_weights_of_its_own() -> None:
    """W e(t) is a column of W: what is learned at one level leaves the others' as they are."""
    torch.manual_seed(0)
    f = TimeResNet(1, 4, [1], 1, levels=6, codes="unit")
    f(torch.randn(6, 1, 4, 4), torch.full((6,), 2)).sum().backward()
    moved = cast(Tensor, f.head.weight.grad).abs().sum(0)
    assert moved[2] > 0
    assert float(moved.sum()) == float(moved[2])
