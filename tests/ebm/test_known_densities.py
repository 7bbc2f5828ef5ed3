"""Learners on densities that are known: learning brings both divergences down, and finds log Z."""

from functools import partial
from typing import Any, NamedTuple

import pytest
import torch

from ebm.datasets.densities import density
from ebm.fit import fit
from ebm.learn import learner_class
from ebm.learner import FitSettings
from ebm.metrics.quadrature import Judged, grid, judge
from ebm.samplers.ais import ais, log_normal, log_z
from ebm.samplers.mala import mala

GRID = grid(4.0, 160)
FIT = {
    "updates": 800,
    "batch": 400,
    "average": 0.99,
    "final_rate": 0.05,
    "check_every": 50,
    "checkpoint_every": 800,
    "gap_limit": 50.0,
    "rollbacks": 2,
    "slow_down": 0.5,
}
NETWORK = {"kind": "mlp", "dim": 2, "widths": [64, 64, 64], "scale": 4.0}
FRESH = {"noise": "gaussian", "scale": 1.0}
PERSISTENT = {"start": "persistent", "chains": 400, "rejuvenation": 0.05, **FRESH}
CHAIN = {"steps": 20, "sample_steps": 300, "step_size": 0.01}
NOISE = {"kind": "mixture", "scale": 1.0, "half": 3.0}


def likelihood(start: dict[str, Any], **chain: Any) -> dict[str, Any]:
    return {
        "network": NETWORK,
        "reference": 2.0,
        "start": start,
        "sample_from": FRESH,
        "chain": {**CHAIN, **chain},
        "data_noise": 0.0,
        "decay": 0.0,
        "optimiser": {"kind": "adam", "rate": 0.003, "momentum": 0.0},
    }


def contrastive() -> dict[str, Any]:
    return {
        "network": NETWORK,
        "reference": 2.0,
        "noise": NOISE,
        "ratio": 1,
        "data_noise": 0.0,
        "optimiser": {"kind": "adam", "rate": 0.01, "momentum": 0.9},
        "rate_log_z": 0.01,
        "chain": {**CHAIN, "temperature": 1.0},
    }


class Trial(NamedTuple):
    """A learner with its averaged networks, held against the density."""

    learner: Any
    judged: Judged
    learned_log_z: float | None


def tried(name: str, settings: dict[str, Any], of: str = "gaussians", **fitting: Any) -> Trial:
    kind, truth = learner_class(name), density(of)
    data = truth.sample(10000, torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    learner = kind(kind.Settings.model_validate(settings))
    fitted = fit(learner, data, FitSettings.model_validate({**FIT, **fitting}), seed=0)
    learner.networks.load_state_dict(fitted.networks.state_dict())
    c = getattr(learner, "c", None)
    found = judge(learner.score, truth.log_density, GRID)
    return Trial(learner, found, None if c is None else float(c.detach()))


def test_a_few_iterations_already_bring_both_divergences_down() -> None:
    before = tried("noise_contrastive", contrastive(), updates=1).judged
    after = tried("noise_contrastive", contrastive(), updates=60).judged
    assert after.kl_data_model < 0.8 * before.kl_data_model
    assert after.kl_model_data < 0.8 * before.kl_model_data


@pytest.mark.slow
@pytest.mark.parametrize("of", ["gaussians", "moons", "pinwheel", "rings"])
def test_noise_contrastive_estimation_knows_its_log_z_within_a_twentieth(of: str) -> None:
    found = tried("noise_contrastive", contrastive(), of)
    assert found.learned_log_z == pytest.approx(found.judged.log_z, abs=0.05)
    assert found.judged.kl_data_model < 0.1 and found.judged.rim < 1e-3


@pytest.mark.slow
def test_persistent_chains_at_one_learn_a_density_and_cold_short_runs_do_not() -> None:
    warm = likelihood(PERSISTENT, temperature=1.0)
    persistent = tried("maximum_likelihood", warm, updates=1200)
    cold = likelihood({"start": "noise", **FRESH}, noise=0.01, sample_steps=20)
    short = tried("maximum_likelihood", cold, updates=1200)
    assert persistent.judged.kl_data_model < 0.12
    assert short.judged.kl_data_model > 3 * persistent.judged.kl_data_model
    assert persistent.learned_log_z is None


@pytest.mark.slow
def test_divergences_fall_with_learning() -> None:
    settings = likelihood(PERSISTENT, temperature=1.0)
    found = [
        tried("maximum_likelihood", settings, updates=updates).judged for updates in (1, 100, 800)
    ]
    for one, other in zip(found, found[1:], strict=False):
        assert other.kl_data_model < one.kl_data_model
        assert other.kl_model_data < one.kl_model_data


@pytest.mark.slow
def test_three_ways_to_log_z_agree() -> None:
    """Learned c, quadrature, and annealed importance sampling from the reference."""
    found = tried("noise_contrastive", contrastive())
    score = found.learner.score
    x = 2 * torch.randn(1000, 2, generator=torch.Generator().manual_seed(1))
    levels = torch.linspace(0, 1, 101).tolist()
    move = partial(mala, steps=2, step_size=0.02)
    weights, _ = ais(partial(log_normal, sd=2.0), score, x, levels, move, seeds=range(1000))
    by_chains = log_z(weights)
    assert float(by_chains.value) == pytest.approx(
        found.judged.log_z, abs=0.05 + 3 * float(by_chains.error)
    )
    assert found.learned_log_z == pytest.approx(found.judged.log_z, abs=0.05)
