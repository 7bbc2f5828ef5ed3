"""Noise and the seeds it is drawn with."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ebm.samplers import noise
from ebm.samplers.noise import Noise, seed_range, spawn

LIKE = torch.zeros(4, 2, 3)


def test_noise_is_standard_normal_with_and_without_seeds() -> None:
    like = torch.zeros(300, 200)
    seeded = Noise(like, 1, seeds=range(300)).next()
    single = Noise(like, 1, generator=torch.Generator().manual_seed(0)).next()
    for draw in (seeded, single):
        assert draw.mean().item() == pytest.approx(0, abs=0.02)
        assert draw.var().item() == pytest.approx(1, abs=0.03)


def test_small_blocks_give_the_same_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Noise(LIKE, 5, seeds=range(4))
    whole = [source.next().clone() for _ in range(5)]
    monkeypatch.setattr(noise, "BLOCK", 2 * LIKE.numel())
    source = Noise(LIKE, 5, seeds=range(4))
    for right in whole:
        assert torch.equal(source.next(), right)


def test_steps_and_chains_have_noise_of_their_own() -> None:
    source = Noise(LIKE, 2, seeds=range(4))
    first, second = source.next().clone(), source.next()
    assert not torch.isclose(first, second).any()
    assert not torch.isclose(first[0], first[1]).any()


def test_wrong_sources_are_refused() -> None:
    with pytest.raises(ValueError, match="3 seeds for 4 chains"):
        Noise(LIKE, 1, seeds=range(3))
    with pytest.raises(ValueError, match="both seeds and generator"):
        Noise(LIKE, 1, seeds=range(4), generator=torch.Generator())


@given(st.integers(0, 2**32 - 1), st.integers(0, 50), st.integers(1, 20))
def test_seeds_of_a_run_do_not_depend_on_the_batches(seed: int, first: int, count: int) -> None:
    assert seed_range(seed, count, first) == seed_range(seed, first + count)[first:]


def test_seeds_do_not_meet() -> None:
    seeds = seed_range(0, 500)
    everything = [*seeds, *spawn(seeds, 1), *spawn(seeds, 2), *seed_range(1, 500)]
    assert len(set(everything)) == len(everything)
