"""Telling data from noise recovers densities and log Z that are known."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ebm.datasets.densities import density
from ebm.fit import Fitted, fit
from ebm.learn.contrast_noise import GaussianNoise, MixedNoise, UniformNoise
from ebm.learn.noise_contrastive import (
    NoiseContrastive,
    NoiseContrastiveSettings,
    balance,
    contrastive_loss,
    over_model,
)
from ebm.learner import FitSettings
from ebm.metrics.quadrature import grid, log_z, values
from ebm.networks import MLPSettings
from ebm.samplers.noise import seed_range

NOISES: dict[str, dict[str, Any]] = {
    "gaussian": {"kind": "gaussian", "scale": 1.2},
    "uniform": {"kind": "uniform", "half": 3.5},
    "mixture": {"kind": "mixture", "scale": 1.0, "half": 3.0},
}
MODEL: dict[str, Any] = {
    "network": {"kind": "mlp", "dim": 2, "widths": [8, 8], "scale": 1.0},
    "reference": None,
    "noise": NOISES["mixture"],
    "ratio": 1,
    "data_noise": 0.0,
    "optimiser": {"kind": "adam", "rate": 0.02, "momentum": 0.9},
    "rate_log_z": 0.02,
    "chain": {"steps": 1, "sample_steps": 100, "step_size": 0.05, "temperature": 1.0},
}
FIT = {
    "updates": 500,
    "batch": 200,
    "average": 0.95,
    "final_rate": 0.05,
    "check_every": 50,
    "checkpoint_every": 500,
    "gap_limit": 50.0,
    "rollbacks": 0,
    "slow_down": 0.5,
}


def made(**changes: Any) -> NoiseContrastive:
    torch.manual_seed(0)
    return NoiseContrastive(NoiseContrastiveSettings.model_validate({**MODEL, **changes}))


def fitted(learner: NoiseContrastive, x: Tensor, **changes: Any) -> Fitted:
    found = fit(learner, x, FitSettings.model_validate({**FIT, **changes}), seed=0)
    learner.networks.load_state_dict(found.networks.state_dict())
    return found


def points(count: int, sd: float) -> Tensor:
    return sd * torch.randn(count, 2, generator=torch.Generator().manual_seed(1))


class Quadratic(nn.Module):
    """f(x) = -a |x|^2 / 2 in the plane, with Z = 2 pi / a."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        return -self.a * x.square().sum(1) / 2


class Raised(nn.Module):
    """The log density of eight Gaussians, raised by 1.7, which is then log Z."""

    def __init__(self) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.tensor(1.7))
        self.truth = density("gaussians")

    def forward(self, x: Tensor) -> Tensor:
        return self.truth.log_density(x).float() + self.level


@pytest.mark.parametrize("noise", NOISES)
def test_gaussian_and_its_log_z_are_recovered_with_every_noise(
    noise: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MLPSettings, "build", lambda self: Quadratic())
    learner = made(noise=NOISES[noise])
    fitted(learner, points(5000, sd=0.7))
    a = float(learner.f.a.detach())
    assert a == pytest.approx(1 / 0.49, rel=0.08)
    assert float(learner.c.detach()) == pytest.approx(math.log(2 * math.pi / a), abs=0.05)


def test_log_z_of_an_unnormalised_mixture_is_found_within_a_twentieth(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(MLPSettings, "build", lambda self: Raised())
    learner = made(ratio=2)
    learner.f.level.requires_grad_(False)
    learner.optimisers["f"] = torch.optim.SGD(learner.f.parameters(), lr=1e-9)
    x = density("gaussians").sample(5000, torch.Generator().manual_seed(1))
    learner.generator.manual_seed(1)
    learner.prepare(x)
    assert float(learner.c.detach()) == pytest.approx(1.7, abs=0.2), "it begins near"
    fitted(learner, x)
    assert float(learner.c.detach()) == pytest.approx(1.7, abs=0.05)


def test_log_z_that_begins_far_off_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MLPSettings, "build", lambda self: Quadratic())
    monkeypatch.setattr("ebm.learn.noise_contrastive.balance", lambda *odds: torch.tensor(4.0))
    learner = made(rate_log_z=0.05)
    fitted(learner, points(5000, sd=0.7), updates=800)
    expected = math.log(2 * math.pi / float(learner.f.a.detach()))
    assert expected < 1.5 and float(learner.c.detach()) == pytest.approx(expected, abs=0.05)


def test_log_z_begins_where_the_loss_is_least_for_the_first_f() -> None:
    odds = 3 * torch.randn(2, 500, generator=torch.Generator().manual_seed(1)) - 40
    for ratio in (1, 4):
        c = float(balance(*odds, ratio))
        losses = [
            float(contrastive_loss(*(odds.double() - other - math.log(ratio)), ratio))
            for other in (c - 0.01, c, c + 0.01)
        ]
        assert losses[1] < min(losses[0], losses[2])


def test_loss_is_that_of_a_fair_coin_at_even_odds_and_finite_at_any() -> None:
    zero = torch.zeros(4)
    assert float(contrastive_loss(zero, zero, 1)) == pytest.approx(2 * math.log(2))
    wrong = torch.full((4,), 1e4, requires_grad=True)
    loss = contrastive_loss(-wrong, wrong, 3)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(4e4)
    assert torch.isfinite(wrong.grad).all() and (wrong.grad != 0).all()


def test_ratio_counts_in_the_odds_so_that_log_z_does_not_depend_on_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(MLPSettings, "build", lambda self: Quadratic())
    found = []
    for ratio in (1, 5):
        learner = made(ratio=ratio)
        fitted(learner, points(3000, sd=0.7), updates=300)
        found.append(
            float(learner.c.detach()) + math.log(float(learner.f.a.detach()) / (2 * math.pi))
        )
    assert found == pytest.approx([0, 0], abs=0.06)


def noises(x: Tensor) -> list[nn.Module]:
    made = [GaussianNoise(2, 1.5), UniformNoise(2, 4.0), MixedNoise(2, 1.0, 4.0)]
    for noise in made:
        noise.fit(x)
    return made


def test_noise_has_the_density_that_it_says() -> None:
    """It integrates to one, and its draws have the mean log density that this implies."""
    mixing = torch.tensor([[0.5, 0.3], [0.0, 0.4]])
    where = grid(5.0, 250)
    e = torch.randn(20000, 3, generator=torch.Generator().manual_seed(2))
    for noise in noises(points(500, 1.0) @ mixing + 0.2):
        log_q = values(noise.log_density, where)
        assert abs(log_z(log_q, where)) < 0.02, noise
        mass = (log_q + where.log_cell).exp()
        seen = mass > 0
        mean = noise.log_density(noise.draw(e)).double()
        expected = float((mass[seen] * log_q[seen]).sum())
        assert float(mean.mean()) == pytest.approx(expected, abs=0.05), noise
        spread = (mass[:, None] * where.points.square()).sum(0).sqrt()
        assert torch.allclose(noise.draw(e).double().square().mean(0).sqrt(), spread, rtol=0.05)


def test_gaussian_noise_is_finite_on_flat_data() -> None:
    flat = torch.randn(100, 3, generator=torch.Generator().manual_seed(1))
    flat[:, 2] = 1.0
    noise = GaussianNoise(3, 1.0)
    noise.fit(flat)
    assert torch.isfinite(noise.log_density(flat)).all()


def test_box_smaller_than_the_data_is_refused_with_their_reach() -> None:
    with pytest.raises(ValueError, match="noise.half is 1.0; the data reach 2: give more"):
        made(noise={"kind": "uniform", "half": 1.0}).prepare(torch.full((4, 2), 2.0))


def test_effective_share_of_the_noise_is_one_where_it_is_the_model_and_falls_far_off() -> None:
    x = points(1000, 1.0)
    f = torch.zeros(1000)
    same = over_model(f, x, torch.full((1000,), 3.0))
    assert float(same["ess"]) == pytest.approx(1, abs=1e-4)
    narrow = over_model(f, x, -8 * x.square().sum(1))
    assert float(narrow["ess"]) < 0.3
    assert float(narrow["sd_samples"]) == pytest.approx((1 / 17) ** 0.5, rel=0.15)


def test_images_are_learned_by_the_same_code() -> None:
    network = {"kind": "convnet", "size": 4, "channels": 1, "width": 4}
    learner = made(network=network, data_noise=0.05)
    x = torch.rand(64, 1, 4, 4) * 2 - 1
    learner.prepare(x)
    figures = learner.learn(x)
    assert all(torch.isfinite(value) and value.shape == () for value in figures.values())
    assert learner.sample([3, 4])[4][-1].shape == (2, 1, 4, 4)


def test_samples_are_of_what_was_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MLPSettings, "build", lambda self: Quadratic())
    learner = made(noise=NOISES["gaussian"])
    learner.noise.fit(points(100, 2.0))
    nn.init.constant_(learner.f.a, 4.0)
    assert float(learner.sample(seed_range(0, 500))[2][-1].std()) == pytest.approx(0.5, rel=0.1)


def test_stage_below_is_refused() -> None:
    with pytest.raises(ValueError, match="has one stage; its below must be null"):
        NoiseContrastive(made().settings, below=made())  # type: ignore[arg-type]
