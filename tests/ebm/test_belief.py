"""The networks and the learner of the latent belief, and who is beside whom."""

import math

import pytest
import torch

from ebm.learn.belief_settings import LatentBeliefSettings
from ebm.learn.crowd import Crowd
from ebm.learn.latent_belief import LatentBelief, divergence
from ebm.networks.belief import Pooling, frame

SOCIAL = {"neighbours": 3, "reach": 2.0, "widths": [6]}
CHAIN = {"steps": 5, "sample_steps": 20, "step_size": 0.2, "temperature": 1.0}
ADAM = {"kind": "adam", "rate": 0.01, "momentum": 0.5}


def made(**changes: object) -> LatentBelief:
    forecast = {
        **{"seen": 3, "plan": [1, 2], "unit": 2.0, "turned": True, "code": 4, "latent": 2},
        **{"widths": [8], "energy": [8], "social": SOCIAL},
    }
    settings = {
        **{"forecast": forecast, "sd_plan": 0.5, "sd_way": 0.5, "reference": 1.5},
        **{"chain": CHAIN, "chains": 64, "lead": 0.1, "decay": 0.001, "speeds": 1.3},
        **{"mirror": 0.5, "optimiser": ADAM, "energy": ADAM, **changes},
    }
    torch.manual_seed(0)
    return LatentBelief(LatentBeliefSettings.model_validate(settings))


def walks(count: int, seed: int = 1) -> torch.Tensor:
    """Trajectories (count, 5, 2) of steady walkers with a little noise."""
    generator = torch.Generator().manual_seed(seed)
    start, step = torch.randn(2, count, 1, 2, generator=generator)
    noise = 0.05 * torch.randn(count, 5, 2, generator=generator)
    return start + step * torch.arange(5.0)[:, None] + noise


def test_frame_puts_the_last_position_at_0_and_the_way_along_x_and_can_be_left() -> None:
    x = walks(7)
    here = frame(x[:, :3], 2.0, True)
    inside = here.enter(x)
    assert torch.allclose(inside[:, 2], torch.zeros(7, 2), atol=1e-6)
    way = torch.linalg.vector_norm(x[:, 2] - x[:, 0], dim=1)
    assert torch.allclose(inside[:, 0], torch.stack([-way / 2, 0 * way], 1), atol=1e-5)
    assert torch.allclose(here.leave(inside), x, atol=1e-5)
    for still in (frame(torch.ones(1, 3, 2), 1.0, True), frame(x[:1, :3], 1.0, False)):
        assert torch.equal(still.turn, torch.eye(2)[None])


def test_forecast_turns_and_moves_with_the_past() -> None:
    """Rotated and shifted pasts have rotated and shifted forecasts: no direction is special."""
    learner, past = made(), walks(4)[:, :3]
    turn = torch.tensor([[0.6, 0.8], [-0.8, 0.6]])
    seeds = [1, 2, 3, 4]
    one = learner.forecast(past, seeds, count=3)[-1]
    other = learner.forecast(past @ turn + 5, seeds, count=3)[-1]
    assert torch.allclose(other.way, one.way @ turn + 5, atol=1e-4)
    assert torch.allclose(other.plan, one.plan @ turn + 5, atol=1e-4)


def test_neighbours_are_those_of_a_plain_search() -> None:
    past = walks(30)[:, :3]
    window = torch.arange(30) // 7 * 2
    crowd = Crowd(past, window)
    rows = torch.tensor([0, 8, 29, 13])
    found, there = crowd.beside(past[rows], window[rows], most=3, reach=2.0)
    for i, row in enumerate(rows.tolist()):
        away = {
            j: float((past[j, -1] - past[row, -1]).norm())
            for j in range(30)
            if window[j] == window[row] and j != row
        }
        right = [j for j in sorted(away, key=away.__getitem__) if away[j] <= 2][:3]
        assert int(there[i].sum()) == len(right)
        assert torch.equal(found[i, : len(right)], past[right])
    with pytest.raises(ValueError, match="rows of one window are apart"):
        Crowd(past[:3], torch.tensor([0, 1, 0]))


def test_nobody_is_beside_an_agent_of_a_window_that_is_not_there() -> None:
    past = walks(6)[:, :3]
    crowd = Crowd(past, torch.tensor([0, 0, 2, 2, 4, 4]))
    for window in (1, 5):
        _, there = crowd.beside(past[:1], torch.tensor([window]), most=3, reach=1e6)
        assert not there.any()


def test_one_pedestrian_has_no_neighbours_and_is_forecast() -> None:
    learner, past = made(), walks(1)[:, :3]
    crowd = Crowd(past, torch.zeros(1))
    given = {"windows": torch.zeros(1), "crowd": crowd}
    one = learner.forecast(past, [3], count=2, **given)[-1]
    assert torch.allclose(one.way, learner.forecast(past, [3], count=2)[-1].way, atol=1e-6)


@pytest.mark.parametrize("keep", [1, 3, 7])
def test_states_that_are_kept_end_with_the_end(keep: int) -> None:
    learner, past = made(), walks(1)[:, :3]
    end = learner.forecast(past, [3], count=2)[-1]
    assert torch.equal(learner.forecast(past, [3], count=2, keep=keep)[-1].z, end.z)


def test_pooling_of_nobody_changes_nothing_and_does_not_depend_on_the_order() -> None:
    torch.manual_seed(0)
    pooling, c, beside = Pooling(3, [6], 4), torch.randn(2, 4), torch.randn(2, 5, 3, 2)
    nobody = torch.zeros(2, 5, dtype=torch.bool)
    assert torch.equal(pooling(c, beside, nobody), c)
    assert torch.equal(pooling(c, beside[:, :0], nobody[:, :0]), c)
    some = torch.tensor([[True, True, False, False, False], [True] * 5])
    assert not torch.allclose(pooling(c, beside, some), c)
    turned = pooling(c, beside.flip(1), some.flip(1))
    assert torch.allclose(turned, pooling(c, beside, some), atol=1e-6)


def test_divergence_is_the_closed_form_and_that_of_an_integral() -> None:
    mean, log_var = torch.tensor([[0.5, -1.0]]), torch.tensor([[0.3, -0.7]])
    x = torch.linspace(-12, 12, 20001, dtype=torch.float64)
    total = 0.0
    for m, v in zip(mean[0].tolist(), log_var[0].exp().tolist(), strict=True):
        q = torch.exp(-((x - m) ** 2) / (2 * v)) / math.sqrt(2 * math.pi * v)
        log_ratio = -((x - m) ** 2) / (2 * v) - math.log(v) / 2 + x**2 / 8 + math.log(2)
        total += float((q * log_ratio).sum() * (x[1] - x[0]))
    assert float(divergence(mean, log_var, 2.0)) == pytest.approx(total, rel=1e-5)
    assert float(divergence(torch.zeros(1, 3), torch.zeros(1, 3), 1.0)) == 0


def test_chains_of_the_prior_have_the_moments_of_a_known_tilt() -> None:
    """With f linear in z, f = a . z, the prior is N(s^2 a, s^2 I)."""
    learner = made()

    class Linear(torch.nn.Module):
        def forward(self, z: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
            return z @ torch.tensor([0.5, -0.2]) + 0 * c.sum(-1)

    learner.networks["f"] = Linear()
    e = torch.randn(1, 4000, 2, generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(2)
    z, _ = learner.chain(torch.zeros(1, 4), 1.5 * e, 1.5, steps=60, generator=generator)
    right = 1.5**2 * torch.tensor([0.5, -0.2])
    assert torch.allclose(z[0].mean(0), right, atol=0.12)
    assert torch.allclose(z[0].std(0), torch.tensor([1.5, 1.5]), atol=0.15)


def test_a_step_of_f_raises_it_on_the_posterior_over_the_prior() -> None:
    learner, x = made(), walks(64)
    labels = torch.arange(64) // 4
    learner.check_labels(labels)
    learner.prepare(x)
    gaps = [learner.learn(x, labels) for _ in range(60)]
    early, late = (
        sum(float(g["f_data"] - g["f_samples"]) for g in part) for part in (gaps[:5], gaps[20:25])
    )
    assert late > early
    assert float(gaps[-1]["reconstruction"]) < float(gaps[0]["reconstruction"])


def test_walk_with_a_fork_is_forecast_on_both_branches() -> None:
    """All walk alike, then half go left and half right: both are among the predictions."""
    past = torch.arange(3.0)[:, None] * torch.tensor([1.0, 0.0])
    side = torch.where(torch.arange(64) % 2 == 0, 1.0, -1.0)
    ahead = torch.stack([torch.full((64, 2), 3.0), side[:, None] * torch.tensor([1.0, 2.0])], 2)
    x = torch.cat([past.expand(64, 3, 2), ahead], 1)
    forecast = {**made().settings.forecast.model_dump(), "widths": [32]}
    adam = {"kind": "adam", "rate": 0.003, "momentum": 0.9}
    learner = made(forecast=forecast, sd_plan=0.3, sd_way=0.3, speeds=1.0, optimiser=adam)
    labels = torch.arange(64)
    learner.check_labels(labels)
    learner.prepare(x)
    for _ in range(200):
        learner.learn(x, labels)
    ends = learner.forecast(past[None], [1], count=200)[-1].way[0, :, -1, 1]
    assert 0.2 < float((ends > 0).float().mean()) < 0.8
    assert float((ends.abs() > 1).float().mean()) > 0.6


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="plan is \\[2, 1\\]; its frames must rise"):
        made(forecast={**made().settings.forecast.model_dump(), "plan": [2, 1]})
    with pytest.raises(ValueError, match="items are of shape \\(4, 2\\); model.forecast takes"):
        made().prepare(walks(3)[:, :4])
    with pytest.raises(ValueError, match="has one stage; its below must be null"):
        LatentBelief(made().settings, below=made())  # type: ignore[arg-type]
