"""Schedules, and chains that run through them."""

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ebm.samplers.annealed import Level, annealed, geometric, noise_levels, temperature_levels
from ebm.samplers.hmc import hmc
from ebm.samplers.langevin import langevin
from ebm.samplers.mala import mala
from ebm.samplers.noise import spawn


def normal(x: Tensor) -> Tensor:
    return -x.square().sum(1) / 2


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3), st.integers(2, 30))
def test_geometric_schedule_has_its_ends_and_one_ratio(a: float, b: float, count: int) -> None:
    values = geometric(a, b, count)
    assert len(values) == count and values[0] == a and values[-1] == b
    ratio = (b / a) ** (1 / (count - 1))
    for first, second in zip(values, values[1:], strict=False):
        assert second / first == pytest.approx(ratio)


@pytest.mark.parametrize(
    ("arguments", "said"), [((0, 1, 3), "first is 0"), ((1, 1, 1), "count is 1")]
)
def test_impossible_schedules_are_refused(arguments: tuple[float, float, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        geometric(*arguments)


def test_noise_levels_scale_the_step_with_the_variance() -> None:
    """dt_i = dt sigma_i^2 / sigma_last^2, and each level has the density of its sigma."""
    levels = noise_levels(lambda x, sigma: normal(x) / sigma**2, [2.0, 1.0, 0.5], 7, 0.1)
    assert [level.step_size for level in levels] == pytest.approx([1.6, 0.4, 0.1])
    x = torch.ones(1, 2)
    found = [level.log_density(x).item() for level in levels if level.log_density]
    assert found == pytest.approx([-0.25, -1.0, -4.0])


def test_levels_are_the_sampler_run_one_after_the_other() -> None:
    start, seeds = torch.zeros(6, 2), list(range(6))
    levels = [Level(5, 0.3, temperature=2.0), Level(9, 0.1, noise=0.2)]
    x, records = annealed(normal, start, levels, seeds=seeds, keep=1)
    y = start
    for number, level in enumerate(levels):
        own = spawn(seeds, number)
        y, _ = langevin(normal, y, seeds=own, **level.settings())
    assert torch.equal(x, y)
    assert [len(record.path) for record in records] == [6, 10]
    assert [record.temperature for record in records] == pytest.approx([2.0, 0.4])


def test_end_has_the_moments_of_the_last_level() -> None:
    levels = temperature_levels(geometric(16.0, 0.25, 7), 40, 0.4)
    for sampler in (mala, partial(hmc, leapfrogs=3)):
        x, _ = annealed(
            normal, torch.zeros(6000, 3), levels, sampler=sampler, generator=generator()
        )
        assert x.var().item() == pytest.approx(0.25, rel=4 * (2 / x.numel()) ** 0.5)


def blurred(x: Tensor, sigma: float) -> Tensor:
    """Two points, three quarters of the data at 4 and one at -4, blurred with sd sigma."""
    weights = torch.tensor([0.75, 0.25]).log()
    centres = torch.tensor([4.0, -4.0])
    return torch.logsumexp(weights - (x - centres).square() / (2 * sigma**2), 1)


def test_annealing_shares_chains_out_among_modes_where_one_level_does_not() -> None:
    """From sigma 8 down to 0.5: the share in the mode of weight 3/4, begun all in the other."""
    start = torch.full((4000, 1), -4.0)
    levels = noise_levels(blurred, geometric(8.0, 0.5, 24), 20, 0.05)
    x, _ = annealed(None, start, levels, generator=generator())
    assert (x > 0).float().mean().item() == pytest.approx(0.75, abs=0.04)
    alone, _ = annealed(None, start, levels[-1:], generator=generator())
    assert (alone > 0).float().mean() < 0.01


def test_empty_schedules_and_missing_densities_are_refused() -> None:
    with pytest.raises(ValueError, match="levels is empty"):
        annealed(normal, torch.zeros(1, 1), [])
    with pytest.raises(ValueError, match="level 0 has no log_density"):
        annealed(None, torch.zeros(1, 1), [Level(1, 0.1)])
