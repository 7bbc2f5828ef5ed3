"""Annealed importance sampling on densities whose Z is known."""

import math
from functools import partial

import pytest
import torch
from torch import Tensor

from ebm.samplers.ais import ais, between, log_normal, log_z
from ebm.samplers.hmc import hmc
from ebm.samplers.langevin import langevin
from ebm.samplers.mala import mala

PRECISION = torch.tensor([[2.0, 0.6, 0.0], [0.6, 1.0, 0.2], [0.0, 0.2, 4.0]])
GAUSSIAN_LOG_Z = 1.5 * math.log(2 * math.pi) - 0.5 * torch.logdet(PRECISION).item() - 3.0


def gaussian(x: Tensor) -> Tensor:
    return -((x - 0.5) @ PRECISION * (x - 0.5)).sum(1) / 2 - 3.0


def mixture(x: Tensor) -> Tensor:
    """Three Gaussians of sd .4 on a circle of radius 1.5, times e^2.3."""
    angles = torch.arange(3) * 2 * math.pi / 3
    centres = 1.5 * torch.stack([angles.cos(), angles.sin()], 1)
    weights = torch.tensor([0.5, 0.3, 0.2])
    parts = -torch.cdist(x, centres).square() / (2 * 0.4**2) - math.log(2 * math.pi * 0.4**2)
    return torch.logsumexp(parts + weights.log(), 1) + 2.3


MOVES = {
    "hmc": partial(hmc, steps=1, step_size=0.25, leapfrogs=4),
    "mala": partial(mala, steps=2, step_size=0.1),
}
LEVELS = [i / 40 for i in range(41)]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES.keys())
@pytest.mark.parametrize(
    ("density", "size", "right"), [(gaussian, 3, GAUSSIAN_LOG_Z), (mixture, 2, 2.3)]
)
def test_log_z_is_found_within_five_hundredths(move, density, size: int, right: float) -> None:
    source = generator(1)
    start = 1.5 * torch.randn(4000, size, generator=source)
    weights, _ = ais(partial(log_normal, sd=1.5), density, start, LEVELS, move, generator=source)
    found = log_z(weights)
    assert abs(found.value.item() - right) < 0.05
    assert abs(found.value.item() - right) < 3 * found.error.item()
    assert found.error < 0.02 and 1000 < found.chains < 4000


def test_annealing_is_what_makes_the_error_small() -> None:
    source = generator(2)
    start = torch.randn(2000, 3, generator=source) - 2.0  # a start that hardly overlaps
    log_p0 = lambda x: log_normal(x + 2.0)  # noqa: E731
    errors = []
    for count in (1, 60):
        levels = [i / count for i in range(count + 1)]
        weights, _ = ais(log_p0, gaussian, start, levels, MOVES["hmc"], generator=source)
        errors.append(log_z(weights).error.item())
    assert errors[1] < errors[0] / 4


def test_weighted_end_states_have_the_moments_of_the_density() -> None:
    source = generator(3)
    start = 1.5 * torch.randn(4000, 3, generator=source)
    p0 = partial(log_normal, sd=1.5)
    weights, (x, _) = ais(p0, gaussian, start, LEVELS, MOVES["hmc"], generator=source)
    share = weights.softmax(0)[:, None]
    worth = log_z(weights).chains.item()
    error = 3 * (PRECISION.inverse().diagonal() / worth).sqrt()
    assert ((share * x).sum(0) - 0.5).abs().le(error).all()


def test_record_tells_moves_that_are_refused() -> None:
    start, levels = torch.randn(200, 3, generator=generator()), [0, 0.5, 1]
    moves = {size: partial(mala, steps=2, step_size=size) for size in (0.1, 50.0)}
    small, large = (
        ais(log_normal, gaussian, start, levels, move, generator=generator(1))[1].acceptance
        for move in moves.values()
    )
    assert small.shape == large.shape == (2,)
    assert small.min() > 0.7 and large.max() < 0.05


def test_move_that_is_not_adjusted_is_refused() -> None:
    move = partial(langevin, steps=1, step_size=0.1)
    with pytest.raises(ValueError, match="move is not adjusted.* use mala or hmc"):
        ais(log_normal, gaussian, torch.zeros(2, 3), [0, 1], move)


def test_weight_of_a_chain_depends_on_its_own_seed_alone() -> None:
    start, seeds = torch.randn(6, 3, generator=generator()), [5, 6, 7, 8, 9, 10]
    levels, move = [0, 0.3, 0.6, 1], MOVES["mala"]
    together, _ = ais(log_normal, gaussian, start, levels, move, seeds=seeds)
    apart, _ = ais(log_normal, gaussian, start[2:4], levels, move, seeds=seeds[2:4])
    assert torch.allclose(together[2:4], apart, atol=1e-5)


def test_standard_error_is_the_spread_of_repeated_estimates() -> None:
    logs = 0.7 * torch.randn(400, 500, generator=generator(), dtype=torch.float64)
    found = [log_z(row) for row in logs]
    spread = torch.stack([z.value for z in found]).std()
    mean_error = torch.stack([z.error for z in found]).mean()
    assert mean_error.item() == pytest.approx(spread.item(), rel=4 / (2 * 400) ** 0.5)
    values = torch.stack([z.value for z in found])
    assert values.mean().item() == pytest.approx(0.7**2 / 2, abs=4 * spread.item() / 20 + 1e-3)


def test_huge_weights_do_not_overflow() -> None:
    found = log_z(torch.tensor([5000.0, 5000.0, 5000.0]))
    assert found.value == 5000 and found.error == 0 and found.chains == 3


def test_start_is_normalised() -> None:
    x = torch.linspace(-12, 12, 4001)[:, None]
    assert (log_normal(x, 1.5).exp().sum() * 24 / 4000).item() == pytest.approx(1, abs=1e-4)
    other = torch.distributions.Normal(0.0, 2.0).log_prob(x.reshape(-1, 1)).sum(1)
    assert torch.allclose(log_normal(x, 2.0), other, atol=1e-5)


def test_path_goes_from_one_density_to_the_other() -> None:
    x = torch.randn(5, 3, generator=generator())
    assert torch.equal(between(log_normal, gaussian, 0.0)(x), log_normal(x))
    assert torch.equal(between(log_normal, gaussian, 1.0)(x), gaussian(x))
    half = between(log_normal, gaussian, 0.5)(x)
    assert torch.allclose(half, (log_normal(x) + gaussian(x)) / 2)


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        ([0.1, 1], "begin with 0"),
        ([0, 0.9], "end with 1"),
        ([0], "end with 1"),
        ([0, 0, 1], "rise"),
    ],
)
def test_wrong_paths_are_refused(levels: list[float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ais(log_normal, gaussian, torch.zeros(2, 3), levels, MOVES["mala"])


def test_one_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="there are 1 weights"):
        log_z(torch.zeros(1))
