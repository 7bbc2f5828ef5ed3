"""Classifiers in turn add up to a log density, and their chains stop where they should."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from ebm.fit import fit
from ebm.learn.introspective import Introspective, IntrospectiveSettings, Stopped
from ebm.learner import FitSettings
from ebm.stored import load, save

SD = 2.5
MODEL: dict[str, Any] = {
    "network": {"kind": "mlp", "dim": 2, "widths": [32, 32], "scale": 1.0},
    "start": {"noise": "gaussian", "scale": SD},
    "negatives": 4000,
    "refresh": None,
    "stop": None,
    "chain": {"steps": 40, "sample_steps": 40, "step_size": 0.1, "temperature": 1.0},
    "data_noise": 0.0,
    "decay": 0.0,
    "optimiser": {"kind": "adam", "rate": 0.005, "momentum": 0.9},
}
FIT: dict[str, Any] = {
    **{"updates": 300, "batch": 256, "average": 0.98, "final_rate": 0.1, "check_every": 50},
    **{"checkpoint_every": 300, "gap_limit": 50.0, "rollbacks": 0, "slow_down": 0.5},
}
MEANS = torch.tensor([[-2.0, 0.0], [2.0, 0.0]])
SPREAD = 0.6


def made(below: Introspective | None = None, **changes: Any) -> Introspective:
    torch.manual_seed(0)
    settings = IntrospectiveSettings.model_validate({**MODEL, **changes})
    return Introspective(settings, below)


def mixture(count: int, seed: int = 1) -> Tensor:
    """Points of the mixture of two Gaussians of deviation SPREAD."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(2, (count,), generator=generator)
    return MEANS[y] + SPREAD * torch.randn(count, 2, generator=generator)


def log_ratio(x: Tensor) -> Tensor:
    """Return log p(x) - log q(x), (N,), of the mixture and of q = N(0, SD^2 I), exactly."""
    two_pi = torch.log(torch.tensor(2 * torch.pi))
    apart = (x[:, None] - MEANS).square().sum(2) / (2 * SPREAD**2)
    log_p = torch.logsumexp(-apart, 1) - torch.log(torch.tensor(2.0 * SPREAD**2)) - two_pi
    return log_p + x.square().sum(1) / (2 * SD**2) + 2 * torch.log(torch.tensor(SD)) + two_pi


def learned(below: Introspective | None, updates: int, **changes: Any) -> Introspective:
    learner = made(below, **changes)
    fitted = fit(learner, mixture(8000), FitSettings(**{**FIT, "updates": updates}), seed=0)
    learner.networks.load_state_dict(fitted.networks.state_dict())
    return learner


def error(learner: Introspective) -> float:
    """Return the mean over the mixture of the error of the sum of the log odds."""
    x = mixture(1000, seed=5)
    with torch.no_grad():
        return float((learner.log_odds(x) - log_ratio(x)).abs().mean())


def test_sum_of_the_log_odds_is_log_p_over_q_of_a_mixture() -> None:
    """Where the first round stops early, later ones make up for it: the sum nears log p / q."""
    rough = learned(None, updates=25)
    second = learned(rough, updates=400)
    assert error(rough) > 0.5
    assert error(second) < 0.5 * error(rough) and error(second) < 0.25
    x = mixture(1000, seed=5)
    assert torch.allclose(second.log_odds(x), rough.f(x) + second.f(x))
    drawn = second.sample(range(400))[2][-1]
    assert abs(float(drawn[:, 0].abs().mean()) - 2) < 0.3


def test_chains_without_a_stop_draw_from_the_density_of_all_rounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """f_t = -x^2 / 2 in each of two rounds: p_2 has the precision 2 + 1 / SD^2."""
    one = made(chain={**MODEL["chain"], "steps": 50, "sample_steps": 50})
    two = made(one, chain=one.settings.chain.model_dump())
    for each in (one, two):
        monkeypatch.setattr(each.f, "forward", lambda x: -x.square().sum(1) / 2)
    x = two.sample(range(600))[2][-1]
    assert x.var() == pytest.approx(1 / (2 + 1 / SD**2), rel=0.15)


def test_chain_with_a_stop_ends_at_its_level() -> None:
    f = Stopped(lambda x: x.sum(1), torch.tensor([1.0, 3.0]))
    x = torch.tensor([[2.0], [2.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(f(x).sum(), x)
    assert gradient.tolist() == [[0.0], [1.0]]
    learner = made(stop=0.0, chain={**MODEL["chain"], "temperature": None, "noise": 0.0})
    learner.prepare(mixture(100))
    end, _ = learner.climb(learner.negatives, 40, learner.generator)
    with torch.no_grad():
        before, after = learner.f(learner.negatives), learner.f(end)
    assert torch.equal(end[before > 0], learner.negatives[before > 0])
    assert (after[before < 0] > before[before < 0]).all()


def test_chain_has_stopped_by_log_odds_f_with_the_probability_of_the_classifier() -> None:
    learner = made(stop=1.0)
    level = learner.levels(4000, None, range(4000))
    assert level is not None
    for f in (-2.0, 0.0, 1.0):
        share = float((level <= f).float().mean())
        assert share == pytest.approx(float(torch.sigmoid(torch.tensor(f))), abs=0.03)
    assert made(stop=None).levels(3, None, [1, 2, 3]) is None


def test_next_round_learns_from_what_the_last_one_took_for_data(tmp_path: Any) -> None:
    chain = {**MODEL["chain"], "temperature": None, "noise": 0.0}  # so that all that moves climbs
    first = learned(None, updates=50, stop=1.0, negatives=300, chain=chain)
    save(tmp_path, "introspective", first, first.networks)
    below = load(tmp_path).learner
    assert torch.equal(below.negatives, first.negatives)
    second = made(below, stop=1.0, negatives=300)
    second.generator.manual_seed(3)
    second.prepare(mixture(100))
    with torch.no_grad():
        assert below.f(second.negatives).mean() > below.f(below.negatives).mean()
    states = second.sample([1, 2], keep=20)[2]
    assert len(states) == 1 + 2 * 2 and torch.equal(states[-1], second.sample([1, 2])[2][-1])


def test_no_round_repeats_the_draws_of_another() -> None:
    """All rounds of an experiment have one seed."""
    drawn: list[Tensor] = []
    below = None
    for _ in range(4):
        below = made(below, stop=1.0, negatives=80)
        below.generator.manual_seed(7)
        below.prepare(mixture(100))
        drawn.append(torch.rand(5, generator=below.generator))
    assert all((a != b).all() for i, a in enumerate(drawn) for b in drawn[:i])


def test_some_climb_within_a_round_and_a_quarter_of_the_pool_stays() -> None:
    chain = {**MODEL["chain"], "temperature": None, "noise": 0.0}
    learner = made(stop=1.0, negatives=80, refresh=2, chain=chain)
    x = mixture(64)
    learner.generator.manual_seed(3)
    learner.prepare(x)
    learner.learn(x)
    assert torch.equal(learner.pool, learner.negatives)
    learner.learn(x)
    new = (learner.pool != learner.negatives).any(1)
    assert new.sum() == 10
    with torch.no_grad():
        assert learner.f(learner.pool[new]).mean() > learner.f(learner.negatives).mean()
    for _ in range(20):
        learner.renew()
    assert torch.equal(learner.pool[:20], learner.negatives[:20])
    assert torch.equal(learner.kept(), learner.negatives)


def test_rounds_that_do_not_fit_are_refused() -> None:
    below = made(negatives=100)
    with pytest.raises(ValueError, match="negatives is 200, and 100 in the round below"):
        made(below, negatives=200).prepare(mixture(10))
    with pytest.raises(ValueError, match=r"model.start is of .* in the round below; give the same"):
        made(below, start={"noise": "uniform", "scale": 1.0})
    with pytest.raises(ValidationError, match="at most 1048576 of this size are kept"):
        made(negatives=2**21)
