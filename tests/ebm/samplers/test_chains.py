"""Where chains start, and that a run goes on with the same bits."""

from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from ebm.samplers.chains import (
    Chains,
    DataStart,
    FromData,
    FromNoise,
    FromSource,
    NoiseStart,
    Persistent,
    PersistentStart,
    StartSettings,
    make_chains,
)
from ebm.samplers.langevin import langevin

UNIFORM: dict[str, Any] = {"noise": "uniform", "scale": 1.0}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def persistent(chains: int = 40, rejuvenation: float = 0.0) -> Persistent:
    settings = PersistentStart(
        start="persistent", chains=chains, rejuvenation=rejuvenation, **UNIFORM
    )
    return Persistent(settings, (2, 3), generator())


def learn(chains: Chains, source: torch.Generator, iterations: int) -> Tensor:
    """Do what a learner does with its chains; return its last end states."""
    x = torch.zeros(8, 2, 3)
    for _ in range(iterations):
        x, rows = chains.start(8, torch.ones(8, 2, 3), source)
        x, _ = langevin(
            lambda x: -x.flatten(1).square().sum(1), x, steps=2, step_size=0.1, generator=source
        )
        chains.keep(rows, x)
    return x


def test_persistent_chains_go_on_from_where_they_were() -> None:
    chains = persistent(chains=10)
    x, rows = chains.start(4, None, generator(1))
    assert rows is not None and torch.equal(x, chains.states[rows])
    before = chains.states.clone()
    chains.keep(rows, x + 5)
    assert torch.equal(chains.states[rows], x + 5)
    others = torch.ones(10, dtype=torch.bool)
    others[rows] = False
    assert torch.equal(chains.states[others], before[others])


def test_starts_can_be_changed_without_harm_to_buffer_and_data() -> None:
    chains, data = persistent(), torch.ones(8, 2, 3)
    before = chains.states.clone()
    for there in (chains, FromData()):
        there.start(8, data, generator())[0].zero_()
    assert torch.equal(chains.states, before) and data.min() == 1


def test_rows_of_a_batch_are_drawn_without_replacement_and_all_alike() -> None:
    chains, source = persistent(chains=40), generator(2)
    counts = torch.zeros(40)
    for _ in range(2000):
        _, rows = chains.start(10, None, source)
        assert rows is not None and len(rows.unique()) == 10
        counts[rows] += 1
    error = (2000 * 0.25 * 0.75) ** 0.5
    assert (counts - 500).abs().max() < 4 * error


def test_stated_share_of_the_visits_is_redrawn() -> None:
    chains, source = persistent(chains=500, rejuvenation=0.05), generator(3)
    chains.states.fill_(9.0)
    fresh = torch.cat([chains.start(250, None, source)[0] for _ in range(80)])
    redrawn = (fresh != 9).flatten(1)
    assert torch.equal(redrawn.any(1), redrawn.all(1)), "a state is redrawn as a whole"
    share = redrawn.any(1).float().mean().item()
    assert share == pytest.approx(0.05, abs=4 * (0.05 * 0.95 / len(fresh)) ** 0.5)
    assert fresh[redrawn.any(1)].abs().max() <= 1


@pytest.mark.parametrize(("noise", "sd"), [("uniform", 2 / 3**0.5), ("gaussian", 2.0)])
def test_fresh_chains_have_the_noise_of_the_settings(noise: Any, sd: float) -> None:
    chains = FromNoise(NoiseStart(start="noise", noise=noise, scale=2.0), (5,))
    x, rows = chains.start(20000, None, generator())
    assert rows is None and x.shape == (20000, 5)
    assert x.mean().item() == pytest.approx(0, abs=4 * sd / x.numel() ** 0.5)
    assert x.std().item() == pytest.approx(sd, rel=4 / (2 * x.numel()) ** 0.5)
    assert (x.abs().max() <= 2) == (noise == "uniform")


def test_contrastive_divergence_starts_at_the_data() -> None:
    data = torch.randn(6, 2, generator=generator())
    x, rows = FromData().start(4, data, generator())
    assert rows is None and torch.equal(x, data[:4])


@pytest.mark.parametrize("interrupted", [0, 3])
def test_a_resumed_run_ends_with_the_same_bits(interrupted: int) -> None:
    whole, source = persistent(rejuvenation=0.2), generator(4)
    right = learn(whole, source, 7)

    first, early = persistent(rejuvenation=0.2), generator(4)
    learn(first, early, interrupted)
    saved, state = first.state_dict(), early.get_state()
    learn(first, early, 2)  # what is done after the checkpoint must not reach it

    again, later = persistent(rejuvenation=0.2), torch.Generator()
    again.load_state_dict(saved)
    later.set_state(state)
    assert torch.equal(learn(again, later, 7 - interrupted), right)
    assert torch.equal(again.states, whole.states)


def test_settings_are_told_apart_by_their_start() -> None:
    read = TypeAdapter(StartSettings).validate_python
    made = [
        read({"start": "persistent", "chains": 9, "rejuvenation": 0.05, **UNIFORM}),
        read({"start": "data"}),
        read({"start": "noise", **UNIFORM}),
        read({"start": "source"}),
    ]
    kinds = [type(make_chains(settings, (2,), generator())) for settings in made]
    assert kinds == [Persistent, FromData, FromNoise, FromSource]


@pytest.mark.parametrize(
    "settings",
    [
        {"start": "elsewhere"},
        {"start": "data", "scale": 1.0},
        {"start": "noise", "noise": "uniform"},
        {"start": "noise", "noise": "uniform", "scale": 0.0},
        {"start": "persistent", "chains": 0, "rejuvenation": 0.1, **UNIFORM},
        {"start": "persistent", "chains": 4, "rejuvenation": 1.1, **UNIFORM},
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(StartSettings).validate_python(settings)


def test_impossible_demands_are_refused_in_one_sentence() -> None:
    chains = persistent(chains=4)
    with pytest.raises(ValueError, match="5 chains are asked for, and chains is 4"):
        chains.start(5, None, generator())
    with pytest.raises(ValueError, match="rows is None"):
        chains.keep(None, torch.zeros(1, 2, 3))
    with pytest.raises(ValueError, match="the batch has 0 examples"):
        FromData().start(1, None, generator())
    with pytest.raises(ValueError, match="the batch has 2 examples"):
        FromData().start(3, torch.zeros(2, 1), generator())


def test_saved_chains_of_another_kind_are_refused() -> None:
    saved = persistent(chains=4).state_dict()
    with pytest.raises(
        ValueError, match=r"the saved chains are \(4, 2, 3\); these are \(5, 2, 3\)"
    ):
        persistent(chains=5).load_state_dict(saved)
    with pytest.raises(ValueError, match="the saved chains are None"):
        persistent(chains=5).load_state_dict({})
    with pytest.raises(ValueError, match="a start from data or noise has none"):
        make_chains(DataStart(start="data"), (2, 3), generator()).load_state_dict(saved)
    FromData().load_state_dict(FromData().state_dict())


def test_what_is_kept_is_a_copy_of_at_most_eight_mebibytes() -> None:
    chains = persistent(chains=10)
    kept = chains.kept()
    assert torch.equal(kept, chains.states)
    kept.zero_()
    assert chains.states.abs().max() > 0
    settings = PersistentStart(start="persistent", chains=9, rejuvenation=0.0, **UNIFORM)
    large = Persistent(settings, (2**18, 2), generator())
    assert large.kept().shape == (4, 2**18, 2)  # 4 bytes a value
    assert FromData().kept() is None


def test_restored_chains_resume_by_seed_and_stay_as_they_are() -> None:
    chains, states = persistent(chains=40), torch.arange(3.0)[:, None, None].expand(3, 2, 3)
    chains.restore(states)
    x = chains.resume([4, 9, 4, 3**20])
    assert x[:, 0, 0].tolist() == [1.0, 0.0, 1.0, 0.0]
    x.zero_()
    assert torch.equal(chains.states, states)


def test_source_starts_are_examples_drawn_by_the_generator_and_leave_these_as_they_are() -> None:
    given = torch.arange(12.0).reshape(6, 2)
    chains = FromSource(given, (2,), generator())
    x, rows = chains.start(400, None, generator(3))
    assert rows is None and {tuple(each) for each in x.tolist()} == {*map(tuple, given.tolist())}
    assert torch.equal(chains.start(400, None, generator(3))[0], x)
    x.zero_()
    chains.keep(rows, x)
    assert torch.equal(chains.kept(), given) and chains.state_dict() == {}
    assert torch.equal(chains.resume([7, 0]), given[[1, 0]])


def test_source_chains_without_examples_are_refused_and_take_those_that_were_kept() -> None:
    chains = FromSource(None, (2,), generator())
    with pytest.raises(ValueError, match="start at source images, and there are none"):
        chains.start(1, None, generator())
    chains.restore(torch.ones(3, 2))
    assert torch.equal(chains.start(2, None, generator())[0], torch.ones(2, 2))


@pytest.mark.parametrize(("asked", "kept"), [(None, 2), (3, 3), (4, 4)])
def test_states_that_are_kept_are_those_of_the_settings_or_few(
    asked: int | None, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ebm.samplers.chains.KEPT", 4)
    settings = PersistentStart(
        start="persistent", noise="gaussian", scale=1.0, chains=4, rejuvenation=0.0, kept=asked
    )
    chains = Persistent(settings, (2,), torch.Generator().manual_seed(0))
    assert torch.equal(chains.kept(), chains.states[:kept])
    assert ("kept" in settings.model_dump()) == (asked is not None)
    with pytest.raises(ValidationError, match="kept is 5; there are no more than chains, 4"):
        PersistentStart.model_validate({**settings.model_dump(), "kept": 5})
