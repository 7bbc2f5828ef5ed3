"""Learning watched: its chains are the update's, and f rises at data beside samples."""

from typing import Any

import pytest
import torch

from ebm.learn import learner_class
from ebm.learn.replay import RISE, ahead, replay, watch

FRESH = {"noise": "gaussian", "scale": 1.0}
PERSISTENT = {"start": "persistent", "chains": 40, "rejuvenation": 0.1, **FRESH}
STARTS = [PERSISTENT, {"start": "data"}, {"start": "noise", **FRESH}]
DATA = torch.tensor([2.0, 0.0]) + 0.1 * torch.randn(
    200, 2, generator=torch.Generator().manual_seed(5)
)


def learner(start: dict[str, Any], **more: Any) -> Any:
    kind = learner_class("maximum_likelihood")
    torch.manual_seed(0)
    settings = {
        "network": {"kind": "mlp", "dim": 2, "widths": [16], "scale": 1.0},
        "reference": 2.0,
        "start": start,
        "sample_from": FRESH,
        "chain": {"steps": 5, "sample_steps": 5, "step_size": 0.05, "temperature": 1.0},
        "data_noise": 0.1,
        "decay": 0.0,
        "optimiser": {"kind": "adam", "rate": 0.01, "momentum": 0.0},
        **more,
    }
    made = kind(kind.Settings.model_validate(settings))
    made.generator.manual_seed(1)
    made.prepare(DATA)
    return made


def test_chains_looked_at_ahead_are_those_of_the_update() -> None:
    one, other = learner(PERSISTENT), learner(PERSISTENT)
    batch = DATA[:40]
    path = ahead(one, batch)
    assert path.shape == (6, 40, 2)
    assert one.generator.get_state().equal(other.generator.get_state())
    one.learn(batch)
    other.learn(batch)
    assert torch.equal(one.chains.states, other.chains.states)
    kept = {tuple(row) for row in one.chains.states.tolist()}
    assert kept == {tuple(row) for row in path[-1].tolist()}
    for a, b in zip(one.f.parameters(), other.f.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("start", STARTS, ids=lambda start: start["start"])
def test_step_shown_raises_f_at_data_beside_samples_by_what_it_says(start: dict[str, Any]) -> None:
    made = learner(start, data_noise=0.0)
    seen = watch(made, DATA[:40], 1, DATA[40:60])
    assert seen.on_data == pytest.approx(-seen.on_samples, abs=1e-5)
    assert seen.on_data - seen.on_samples == pytest.approx(RISE, rel=0.3)
    assert seen.before.shape == seen.rise.shape == (20,)
    starts_at_data = start["start"] == "data"
    assert torch.equal(seen.path[0], DATA[:40]) == starts_at_data


def test_updates_that_are_shown_are_those_of_learning_unwatched() -> None:
    one, other = learner(PERSISTENT), learner(PERSISTENT)
    few = replay(one, DATA, [4], batch=20, seed=3, points=DATA[:7])
    more = replay(other, DATA, [1, 2, 4], batch=20, seed=3, points=DATA[:7])
    assert [seen.update for seen in more] == [1, 2, 4]
    assert torch.equal(few[-1].rise, more[-1].rise)
    assert torch.equal(few[-1].path, more[-1].path)
    assert torch.equal(one.score(DATA[:7]), other.score(DATA[:7]))
