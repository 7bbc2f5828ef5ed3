"""What all samplers promise alike: seeds, held values, bounds, exact moments, refusals, no sync."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from ebm.samplers.ais import ais, log_normal
from ebm.samplers.annealed import annealed, temperature_levels
from ebm.samplers.chains import NoiseStart, PersistentStart, make_chains
from ebm.samplers.ess import effective_sample_size
from ebm.samplers.hmc import hmc
from ebm.samplers.langevin import langevin
from ebm.samplers.mala import mala
from ebm.samplers.unrolled import unrolled

Sampler = Callable[..., tuple[Tensor, Any]]

LEAP = partial(hmc, leapfrogs=4)


def through_levels(
    log_density: Any, x: Tensor, steps: int, step_size: float, **settings: Any
) -> Any:
    levels = temperature_levels([4.0, 1.0], steps, step_size)
    return annealed(log_density, x, levels, sampler=mala, **settings)


def with_a_graph(log_density: Any, x: Tensor, **settings: Any) -> Any:
    settings.pop("keep", None)
    return unrolled(log_density, x, **settings).detach(), None


SAMPLERS = {
    "langevin": langevin,
    "mala": mala,
    "hmc": LEAP,
    "annealed": through_levels,
    "unrolled": with_a_graph,
}
ADJUSTED = {"mala": mala, "hmc": LEAP}
every = pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS.keys())
adjusted = pytest.mark.parametrize("sampler", ADJUSTED.values(), ids=ADJUSTED.keys())


def normal(x: Tensor) -> Tensor:
    """log N(x; 0, I), up to a constant."""
    return -x.flatten(1).square().sum(1) / 2


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth_network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(5, 16), nn.SiLU(), nn.Linear(16, 1), nn.Flatten(0))
    return layers.requires_grad_(False)


@every
def test_chain_with_a_seed_is_the_same_whatever_runs_beside_it(sampler: Sampler) -> None:
    network = smooth_network()
    start, seeds = torch.randn(9, 5, generator=generator()), list(range(70, 79))
    settings = {"steps": 25, "step_size": 0.4}
    together, _ = sampler(network, start, seeds=seeds, **settings)
    for rows in ([3], [8, 0], list(range(4))):
        apart, _ = sampler(network, start[rows], seeds=[seeds[i] for i in rows], **settings)
        assert torch.allclose(apart, together[rows], atol=1e-5)
    assert (together - start).norm(dim=1).min() > 0.01


@every
def test_chains_of_one_generator_are_reproducible(sampler: Sampler) -> None:
    def run(seed: int) -> Tensor:
        settings = {"steps": 4, "step_size": 0.3, "generator": generator(seed)}
        return sampler(normal, torch.zeros(6, 3), **settings)[0]

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))


@every
def test_held_values_are_kept_to_the_bit_and_the_rest_moves(sampler: Sampler) -> None:
    start = torch.randn(50, 1, 2, 3, generator=generator()) * 3
    held = torch.zeros(1, 2, 3, dtype=torch.bool)
    held[..., 0] = True
    settings = {"steps": 10, "step_size": 0.3, "bounds": (-1.0, 1.0), "generator": generator(1)}
    x, _ = sampler(normal, start, held=held, **settings)
    assert torch.equal(x[..., 0], start[..., 0])
    assert (x[..., 0].abs() > 1).any(), "some held values lie beyond the bounds"
    assert x[..., 1:].abs().max() <= 1
    assert (x[..., 1:] != start[..., 1:]).flatten(1).any(1).all()


@every
def test_bounds_are_never_left(sampler: Sampler) -> None:
    start = torch.linspace(-3, 3, 200).reshape(50, 4)
    settings = {"steps": 12, "step_size": 1.0, "bounds": (-0.5, 0.25), "generator": generator(1)}
    x, _ = sampler(normal, start, **settings)
    assert x.min() >= -0.5 and x.max() <= 0.25


@every
def test_start_is_left_as_it_was(sampler: Sampler) -> None:
    start = torch.ones(2, 2)
    sampler(normal, start, steps=3, step_size=0.1, bounds=(-0.5, 0.5), generator=generator())
    assert torch.equal(start, torch.ones(2, 2))


@every
def test_end_carries_no_graph_and_parameters_no_gradient(sampler: Sampler) -> None:
    network = smooth_network()
    x, _ = sampler(network, torch.zeros(3, 5), steps=2, step_size=0.1, generator=generator())
    assert not x.requires_grad
    assert all(p.grad is None for p in network.parameters())


BAD = [
    ({"step_size": 0.0}, "step_size is 0.0; it must be positive"),
    ({"step_size": float("nan")}, "step_size is nan"),
    ({"step_size": float("inf")}, "step_size is inf"),
    ({"steps": -1}, "steps is -1; it must be 0 or more"),
    ({"clip": 0.0}, "clip is 0.0; it must be positive"),
    ({"bounds": (1.0, 1.0)}, "low must be below high"),
    ({"bounds": (float("nan"), 1.0)}, "low must be below high"),
    ({"held": torch.zeros(4, 3)}, "held is torch.float32; it must be boolean"),
    ({"held": torch.zeros(2, 4, 3, dtype=torch.bool)}, "must broadcast to"),
    ({"held": torch.zeros(5, dtype=torch.bool)}, "must broadcast to"),
    ({"seeds": [1, 2]}, "2 seeds for 4 chains"),
    ({"seeds": [1, 2, 3, -4]}, "seeds has -4; each must be 0 or more"),
    ({"seeds": [1, 2, 3, 0.5]}, "it must be a row of integers"),
    ({"seeds": [1, 2, 3, 4], "generator": torch.Generator()}, "both seeds and generator"),
]


@every
@pytest.mark.parametrize(("bad", "said"), BAD)
def test_bad_settings_are_refused_in_one_sentence(
    sampler: Sampler, bad: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        sampler(normal, torch.zeros(4, 3), **{"steps": 2, "step_size": 0.1, **bad})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("sampler", [langevin, mala, LEAP], ids=["langevin", "mala", "hmc"])
@given(value=st.floats(max_value=0, allow_nan=False))
def test_no_step_size_of_zero_or_less_is_taken(sampler: Sampler, value: float) -> None:
    with pytest.raises(ValueError, match="step_size is .*; it must be positive"):
        sampler(normal, torch.zeros(1, 1), steps=1, step_size=value)


@every
@pytest.mark.parametrize("x", [torch.zeros(4), torch.zeros(4, 3, dtype=torch.long)])
def test_start_of_the_wrong_kind_is_refused(sampler: Sampler, x: Tensor) -> None:
    with pytest.raises(ValueError, match="it must be floats"):
        sampler(lambda x: x.sum(-1), x, steps=1, step_size=0.1)


plain = pytest.mark.parametrize("sampler", [langevin, mala, LEAP], ids=["langevin", "mala", "hmc"])


@every
def test_seeds_may_be_a_tensor(sampler: Sampler) -> None:
    settings = {"steps": 3, "step_size": 0.3}
    listed, _ = sampler(normal, torch.zeros(4, 3), seeds=[3, 4, 5, 6], **settings)
    given, _ = sampler(normal, torch.zeros(4, 3), seeds=torch.arange(3, 7), **settings)
    assert torch.equal(listed, given)


@every
def test_no_chain_is_refused(sampler: Sampler) -> None:
    with pytest.raises(ValueError, match=r"x has shape \(0, 3\); there must be one chain"):
        sampler(normal, torch.zeros(0, 3), steps=2, step_size=0.1)


@plain
@pytest.mark.parametrize(
    ("log_density", "said"),
    [
        (lambda x: normal(x)[:, None], r"returned shape \(4, 1\) .* one value a chain, \(4,\)"),
        (lambda x: normal(x).sum(), r"returned shape \(\) .* one value a chain, \(4,\)"),
        (lambda x: torch.zeros(len(x)), "log_density does not depend on x"),
        (lambda x: torch.ones(4, requires_grad=True), "log_density does not depend on x"),
    ],
    ids=["column", "scalar", "constant", "parameter"],
)
def test_density_that_no_chain_can_follow_is_refused(
    sampler: Sampler, log_density: Callable[[Tensor], Tensor], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        sampler(log_density, torch.zeros(4, 3), steps=2, step_size=0.1)


@plain
def test_inference_mode_is_refused_and_no_grad_is_not(sampler: Sampler) -> None:
    with torch.no_grad():
        sampler(normal, torch.zeros(4, 3), steps=1, step_size=0.1)
    with torch.inference_mode(), pytest.raises(ValueError, match=r"use torch\.no_grad"):
        sampler(normal, torch.zeros(4, 3), steps=1, step_size=0.1)


@plain
def test_faults_of_the_density_itself_are_passed_on(sampler: Sampler) -> None:
    with pytest.raises(RuntimeError, match="must match"):
        sampler(lambda x: (x + torch.ones(7)).sum(1), torch.zeros(4, 3), steps=1, step_size=0.1)


@adjusted
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_start_of_sixteen_bits_is_refused_where_proposals_are(
    sampler: Sampler, dtype: torch.dtype
) -> None:
    with pytest.raises(ValueError, match="need float32 or float64"):
        sampler(normal, torch.zeros(4, 3, dtype=dtype), steps=1, step_size=0.1)


def test_noise_of_hmc_is_refused_in_one_sentence() -> None:
    with pytest.raises(ValueError, match="hmc draws momenta instead: give temperature"):
        LEAP(normal, torch.zeros(4, 3), steps=1, step_size=0.1, noise=0.1)


# Exactness


A = torch.tensor([[1.0, 0.4], [-0.5, 1.0], [0.3, 0.8]])
Y, PRIOR, ERROR = torch.tensor([1.0, -0.6, 0.8]), 1.2, 0.6
PRECISION = torch.eye(2) / PRIOR**2 + A.T @ A / ERROR**2
POSTERIOR = PRECISION.inverse()
MEAN = POSTERIOR @ A.T @ Y / ERROR**2


def posterior(x: Tensor) -> Tensor:
    """log p(x | y) of x ~ N(0, PRIOR^2 I), y = A x + N(0, ERROR^2 I), up to a constant."""
    misfit = (Y - x @ A.T).square().sum(1) / (2 * ERROR**2)
    return -misfit - x.square().sum(1) / (2 * PRIOR**2)


@pytest.mark.parametrize(
    ("sampler", "step_size", "bias"),
    [(langevin, 0.1, 0.1), (mala, 0.3, 0.0), (LEAP, 0.2, 0.0)],
    ids=["langevin", "mala", "hmc"],
)
def test_chain_finds_the_posterior_of_the_linear_gaussian_model(
    sampler: Sampler, step_size: float, bias: float
) -> None:
    """Langevin at dt keeps the covariance C (I - dt/4 C^-1)^-1, the adjusted ones C itself."""
    start = torch.full((8000, 2), -2.0)
    x, _ = sampler(posterior, start, steps=80, step_size=step_size, generator=generator(3))
    right = POSTERIOR @ (torch.eye(2) - bias / 4 * PRECISION).inverse()
    assert_moments(x, MEAN, right)


def assert_moments(x: Tensor, mean: Tensor, covariance: Tensor, errors: float = 3) -> None:
    """Compare the moments of independent x: (N, D) with a Gaussian's, within standard errors."""
    variance = covariance.diagonal()
    assert ((x.mean(0) - mean).abs() < errors * (variance / len(x)).sqrt()).all()
    spread = ((variance[:, None] * variance + covariance.square()) / len(x)).sqrt()
    assert ((torch.cov(x.T) - covariance).abs() < errors * spread).all()


COVARIANCE = torch.tensor([[1.0, 0.9, 0.0], [0.9, 1.0, 0.3], [0.0, 0.3, 4.0]])
CENTRE = torch.tensor([1.0, -2.0, 0.5])


def correlated(x: Tensor) -> Tensor:
    """log N(x; CENTRE, COVARIANCE), up to a constant."""
    away = x - CENTRE
    return -(away @ COVARIANCE.inverse() * away).sum(1) / 2


@pytest.mark.parametrize(
    ("sampler", "settings"),
    [
        (mala, {"step_size": 0.25, "steps": 300}),
        (mala, {"step_size": 0.25, "steps": 400, "clip": 0.5}),
        (LEAP, {"step_size": 0.3, "steps": 60}),
        (LEAP, {"step_size": 0.3, "steps": 150, "clip": 0.5}),
        (LEAP, {"step_size": 0.3, "steps": 60, "mass": torch.tensor([2.0, 1.0, 0.3])}),
    ],
    ids=["mala", "mala-clip", "hmc", "hmc-clip", "hmc-mass"],
)
def test_adjusted_chain_has_the_moments_of_a_correlated_gaussian(
    sampler: Sampler, settings: dict[str, Any]
) -> None:
    x, record = sampler(correlated, torch.zeros(4000, 3), generator=generator(4), **settings)
    assert_moments(x, CENTRE, COVARIANCE)
    assert 0.2 < record.acceptance.mean() < 0.995


@adjusted
def test_means_over_a_path_are_within_three_errors_by_effective_sample_size(
    sampler: Sampler,
) -> None:
    start = (
        torch.randn(50, 3, generator=generator(5)) @ torch.linalg.cholesky(COVARIANCE).T + CENTRE
    )
    settings = {"steps": 1000, "step_size": 0.3, "keep": 1, "generator": generator(6)}
    _, record = sampler(correlated, start, **settings)
    path = torch.stack(record.path, 1)
    for values, right in [(path, CENTRE), ((path - CENTRE).square(), COVARIANCE.diagonal())]:
        error = values.flatten(0, 1).std(0) / effective_sample_size(values).sqrt()
        assert ((values.mean((0, 1)) - right).abs() < 3 * error).all()
        assert (error < 0.2).all()


def double_well(x: Tensor) -> Tensor:
    """Two wells of unequal depth, at about -1 and 1."""
    return -(2 * (x.square() - 1).square() - 0.4 * x).sum(1)


def quadrature(density: Callable[[Tensor], Tensor], low: float, high: float) -> list[float]:
    """Return the first moments of a density on a line, by the midpoint rule: E x, E x^2, E x^4."""
    edges = torch.linspace(low, high, 20001, dtype=torch.float64)
    x = (edges[1:] + edges[:-1]) / 2
    weights = density(x[:, None]).softmax(0)
    return [float((weights * x**power).sum()) for power in (1, 2, 4)]


@pytest.mark.parametrize(
    ("sampler", "settings"),
    [
        (mala, {"step_size": 0.4, "steps": 250}),
        (LEAP, {"step_size": 0.3, "steps": 100}),
        (mala, {"step_size": 0.5, "steps": 250, "temperature": 2.0}),
        (LEAP, {"step_size": 0.3, "steps": 100, "temperature": 2.0}),
        (mala, {"step_size": 0.4, "steps": 250, "bounds": (-0.8, 1.2)}),
        (LEAP, {"step_size": 0.3, "steps": 100, "bounds": (-0.8, 1.2)}),
        (mala, {"step_size": 0.4, "steps": 250, "bounds": (-0.8, 1.2), "clip": 1.0}),
        (LEAP, {"step_size": 0.9, "steps": 100, "bounds": (-0.8, 1.2), "clip": 1.0}),
    ],
)
def test_adjusted_chain_has_the_moments_of_a_double_well(
    sampler: Sampler, settings: dict[str, Any]
) -> None:
    start = torch.linspace(-1, 1, 10000)[:, None]
    x, _ = sampler(double_well, start, generator=generator(7), **settings)
    low, high = settings.get("bounds", (-4.0, 4.0))
    heat = settings.get("temperature", 1.0)
    rights = quadrature(lambda x: double_well(x) / heat, low, high)
    for power, right in zip((1, 2, 4), rights, strict=True):
        found = x**power
        assert found.mean().item() == pytest.approx(right, abs=3 * found.std().item() / 100)


@adjusted
@pytest.mark.parametrize("step_size", [0.3, 0.9])
def test_bounds_give_the_truncated_gaussian(sampler: Sampler, step_size: float) -> None:
    """E x and Var x of N(0, 1) cut off at a and b, by phi and Phi."""
    low, high = -0.4, 1.0
    line, cut = torch.distributions.Normal(0.0, 1.0), torch.tensor([low, high], dtype=torch.float64)
    mass = (line.cdf(cut)[1] - line.cdf(cut)[0]).item()
    at = line.log_prob(cut).exp()
    mean = (at[0] - at[1]).item() / mass
    variance = 1 + (low * at[0] - high * at[1]).item() / mass - mean**2
    start = torch.zeros(20000, 1)
    settings = {"steps": 60, "bounds": (low, high), "generator": generator(8)}
    x, _ = sampler(normal, start, step_size=step_size, **settings)
    x = x.flatten().double()
    away = (x - mean).square()
    assert x.mean().item() == pytest.approx(mean, abs=3 * (variance / len(x)) ** 0.5)
    assert away.mean().item() == pytest.approx(variance, abs=3 * away.std().item() / len(x) ** 0.5)
    rank = (line.cdf(x) - line.cdf(cut)[0]) / mass
    steps = torch.arange(1, len(x) + 1) / len(x)
    assert (rank.sort().values - steps).abs().max() < 1.95 / len(x) ** 0.5, "Kolmogorov, p = .001"


@adjusted
def test_held_values_leave_the_conditional_density_of_the_rest(sampler: Sampler) -> None:
    start = torch.zeros(8000, 3)
    start[:, 1] = -1.0
    held = torch.tensor([False, True, False])
    settings = {"steps": 100, "step_size": 0.35, "held": held, "generator": generator(9)}
    x, _ = sampler(correlated, start, **settings)
    free = torch.tensor([0, 2])
    across = COVARIANCE[free, 1]
    mean = CENTRE[free] + across * (-1.0 - CENTRE[1]) / COVARIANCE[1, 1]
    rest = COVARIANCE[free][:, free] - across[:, None] * across / COVARIANCE[1, 1]
    assert_moments(x[:, free], mean, rest)


@adjusted
def test_proposal_that_is_not_a_number_is_refused(sampler: Sampler) -> None:
    def cut(x: Tensor) -> Tensor:
        return torch.where(x < 1, -x.square() / 2, torch.nan).sum(1)

    x, record = sampler(cut, torch.zeros(200, 1), steps=40, step_size=0.7, generator=generator())
    assert x.isfinite().all() and x.max() < 1
    assert record.acceptance.min() < 1


@adjusted
def test_proposal_of_infinite_density_is_refused(sampler: Sampler) -> None:
    """No chain would ever leave it; from a start of none, log p minus infinity, chains do go on."""

    def pole(x: Tensor) -> Tensor:
        inside = torch.where(x > 1, torch.inf, -x.square() / 2)
        return torch.where(x < -5, -torch.inf, inside).sum(1)

    start = torch.zeros(200, 1)
    start[0] = -5.1
    x, record = sampler(pole, start, steps=60, step_size=0.3, generator=generator())
    assert x.max() <= 1 and x.isfinite().all() and x[0] > -5
    assert record.acceptance[1:].min() > 0 and record.acceptance.mean() > 0.3


@adjusted
def test_acceptance_is_that_of_each_chain(sampler: Sampler) -> None:
    start = torch.tensor([[0.0], [0.0], [float("nan")]])
    _, record = sampler(normal, start, steps=30, step_size=0.1, generator=generator())
    assert record.acceptance.shape == (3,)
    assert record.acceptance[:2].min() > 0.8 and record.acceptance[2] == 0


@adjusted
def test_noise_of_zero_is_refused(sampler: Sampler) -> None:
    with pytest.raises(ValueError, match="temperature is 0"):
        sampler(normal, torch.zeros(1, 1), steps=1, step_size=0.1, temperature=0.0)


@adjusted
def test_path_starts_at_the_start_and_ends_at_the_end(sampler: Sampler) -> None:
    start = torch.zeros(4, 2)
    settings = {"steps": 6, "step_size": 0.3, "keep": 2, "generator": generator()}
    x, record = sampler(normal, start, **settings)
    assert len(record.path) == 4
    assert torch.equal(record.path[0], start) and torch.equal(record.path[-1], x)
    moved = (x - start).square().mean(1).sqrt().mean()
    assert record.movement == pytest.approx(moved.item()) and record.strength > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device to wait for")
@pytest.mark.parametrize("seeded", [False, True])
def test_nothing_waits_for_the_device(seeded: bool) -> None:
    source = torch.Generator("cuda").manual_seed(0)
    x, held = torch.zeros(64, 5, device="cuda"), torch.arange(5, device="cuda") == 2
    network, bounds = smooth_network().cuda(), (-1.0, 1.0)
    given = {"seeds": list(range(64))} if seeded else {"generator": source}
    fresh = {"noise": "uniform", "scale": 1.0}
    starts = [
        PersistentStart(start="persistent", chains=256, rejuvenation=0.05, **fresh),
        NoiseStart(start="noise", **fresh),
    ]
    start = partial(log_normal, sd=1.0)

    def everything() -> None:
        for sampler in SAMPLERS.values():
            settings = {"held": held, "bounds": bounds, "clip": 1.0, **given}
            sampler(network, x, steps=3, step_size=0.1, **settings)
        if not seeded:
            LEAP(network, x, steps=3, step_size=0.1, adapt=2, generator=source)
        ais(start, network, x, [0, 0.5, 1], partial(LEAP, steps=1, step_size=0.1), **given)
        for settings in starts:
            chains = make_chains(settings, (5,), source)
            there, rows = chains.start(64, None, source)
            chains.keep(rows, there)

    everything()  # kernels are loaded before waiting becomes an error
    torch.cuda.set_sync_debug_mode("error")
    try:
        everything()
    finally:
        torch.cuda.set_sync_debug_mode("default")
