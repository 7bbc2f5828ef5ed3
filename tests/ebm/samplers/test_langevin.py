"""Langevin dynamics against targets with known answers."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ebm.networks.convnet import ConvNet
from ebm.samplers.langevin import grad, langevin, noise_scale


def normal(x: Tensor) -> Tensor:
    """log N(x; 0, I), up to a constant."""
    return -x.flatten(1).square().sum(1) / 2


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("step_size", "temperature"), [(0.2, None), (1.0, None), (0.5, 0.1)])
def test_chain_on_gaussian_has_the_right_moments(
    step_size: float, temperature: float | None
) -> None:
    """On N(0, I), x' = (1 - dt/2) x + sqrt(T dt) e has the stationary variance T / (1 - dt/4)."""
    start = torch.full((4000, 50), 3.0)
    settings = {"steps": 80, "step_size": step_size, "temperature": temperature}
    x, _ = langevin(normal, start, generator=generator(), **settings)
    right = (1.0 if temperature is None else temperature) / (1 - step_size / 4)
    assert x.mean().item() == pytest.approx(0, abs=0.015)
    assert x.var().item() == pytest.approx(right, rel=0.015)


def test_chain_without_noise_climbs_by_half_the_step_size() -> None:
    x, record = langevin(normal, torch.ones(3, 2), steps=1, step_size=0.5, noise=0.0)
    assert torch.equal(x, torch.full((3, 2), 0.75))
    assert record.strength.item() == pytest.approx(2**0.5)
    assert record.movement.item() == pytest.approx(0.25)
    assert record.temperature == 0


def test_published_pair_of_coefficients_is_cold() -> None:
    assert noise_scale(2 * 1.0, None, 0.01) == (0.01, pytest.approx(5e-5))


@given(st.floats(1e-3, 10), st.floats(0, 10))
def test_noise_and_temperature_say_the_same(step_size: float, temperature: float) -> None:
    noise, _ = noise_scale(step_size, temperature, None)
    assert noise_scale(step_size, None, noise)[1] == pytest.approx(temperature, abs=1e-12)


def test_temperature_is_one_unless_told() -> None:
    assert noise_scale(0.25, None, None) == (0.5, 1.0)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"step_size": 1.0, "temperature": 1.0, "noise": 1.0}, "both temperature"),
        ({"step_size": 0.0}, "step_size is 0.0"),
        ({"step_size": 1.0, "temperature": -1.0}, "temperature is -1.0"),
        ({"step_size": 1.0, "noise": -1.0}, "noise is -1.0"),
    ],
)
def test_wrong_scales_are_refused(settings: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        langevin(normal, torch.zeros(2, 2), steps=1, **settings)


def test_held_values_stay_exactly_even_beyond_the_bounds() -> None:
    start = torch.linspace(-2, 2, 12).reshape(3, 1, 2, 2)
    held = torch.zeros(3, 1, 2, 2, dtype=torch.bool)
    held[:, :, 0] = True
    x, _ = langevin(
        normal, start, steps=5, step_size=0.5, generator=generator(), held=held, bounds=(-0.3, 0.3)
    )
    assert torch.equal(x[held], start[held])
    assert not torch.isclose(x[~held], start[~held]).any()


def test_bounds_are_kept_and_reached() -> None:
    x, _ = langevin(
        normal, torch.zeros(50, 4), steps=5, step_size=4.0, generator=generator(), bounds=(-1, 0.5)
    )
    assert x.min() == -1 and x.max() == 0.5


def test_start_is_not_changed() -> None:
    start = torch.ones(2, 2)
    langevin(normal, start, steps=3, step_size=0.1, keep=1)
    assert torch.equal(start, torch.ones(2, 2))


def test_chains_with_seeds_do_not_depend_on_their_batch() -> None:
    torch.manual_seed(0)
    network = ConvNet(size=4, width=8)
    start, seeds = torch.zeros(7, 1, 4, 4), list(range(40, 47))
    settings = {"steps": 20, "step_size": 0.1}
    together, _ = langevin(network, start, seeds=seeds, **settings)
    for i in range(7):
        alone, _ = langevin(network, start[i : i + 1], seeds=seeds[i : i + 1], **settings)
        assert torch.allclose(alone[0], together[i], atol=1e-5)
    assert together.std(0).min() > 0.1


def test_chains_of_one_generator_are_reproducible() -> None:
    def run(seed: int) -> Tensor:
        source = generator(seed)
        return langevin(normal, torch.zeros(5, 3), steps=4, step_size=0.1, generator=source)[0]

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))


def test_each_chain_follows_the_gradient_of_its_own_value() -> None:
    x = torch.randn(6, 1, 4, 4, generator=generator())
    network = ConvNet(size=4, width=4)
    whole = grad(network, x)
    for i in range(6):
        assert torch.allclose(grad(network, x[i : i + 1])[0], whole[i], atol=1e-6)


def test_gradient_is_taken_where_gradients_are_off() -> None:
    with torch.no_grad():
        assert torch.equal(grad(normal, torch.ones(2, 3)), -torch.ones(2, 3))


def test_clip_bounds_each_component_of_the_gradient() -> None:
    start = torch.tensor([[10.0, 0.1]])
    x, record = langevin(normal, start, steps=1, step_size=2.0, noise=0.0, clip=1.0)
    assert torch.allclose(x, torch.tensor([[9.0, 0.0]]))
    assert record.strength.item() == pytest.approx(100.01**0.5)


def test_kept_path_starts_at_the_start_and_ends_at_the_end() -> None:
    start = torch.zeros(2, 3)
    x, record = langevin(normal, start, steps=6, step_size=0.1, keep=2, generator=generator())
    assert len(record.path) == 4
    assert torch.equal(record.path[0], start) and torch.equal(record.path[-1], x)
    assert not torch.equal(record.path[1], record.path[2])


def test_parameters_keep_their_gradients_as_they_were() -> None:
    network = ConvNet(size=2, width=2)
    langevin(network, torch.zeros(2, 1, 2, 2), steps=2, step_size=0.1)
    assert all(p.grad is None for p in network.parameters())


@pytest.mark.parametrize(("sd", "step_size"), [(0.5, 0.1), (0.5, 0.6), (2.0, 4.0)])
def test_variance_has_the_bias_of_the_step_size(sd: float, step_size: float) -> None:
    """On N(0, sd^2), x' = (1 - dt/(2 sd^2)) x + sqrt(dt) e keeps v = sd^2 / (1 - dt/(4 sd^2))."""

    def density(x: Tensor) -> Tensor:
        return -x.square().sum(1) / (2 * sd**2)

    start = torch.zeros(4000, 50)
    x, _ = langevin(density, start, steps=60, step_size=step_size, generator=generator(1))
    right = sd**2 / (1 - step_size / (4 * sd**2))
    three_errors = 3 * (2 / x.numel()) ** 0.5
    assert x.var().item() == pytest.approx(right, rel=three_errors)
    assert abs(right / sd**2 - 1) > 2 * three_errors, "the bias must be seen"


def test_record_has_the_temperature_of_the_noise_given() -> None:
    """The published a = 1, b = .01 is dt = 2 and noise .01, which is T = 5e-5."""
    x, record = langevin(
        normal, torch.zeros(20000, 2), steps=30, step_size=2.0, noise=0.01, generator=generator(2)
    )
    assert record.temperature == pytest.approx(5e-5)
    right = 5e-5 / (1 - 2.0 / 4)
    assert x.var().item() == pytest.approx(right, rel=4 * (2 / x.numel()) ** 0.5)


def test_temperature_zero_and_one_step_of_none_are_what_they_say() -> None:
    start = torch.ones(2, 3)
    x, record = langevin(normal, start, steps=0, step_size=0.1)
    assert torch.equal(x, start) and record.movement == 0 and record.strength == 0
    cold, _ = langevin(normal, start, steps=1, step_size=0.1, temperature=0.0)
    assert torch.allclose(cold, torch.full((2, 3), 0.95))


def test_density_that_is_no_number_is_seen_in_the_strength_though_its_gradient_is_zero() -> None:
    def cut(x: Tensor) -> Tensor:
        return torch.where(x < 1.5, -x.square() / 2, torch.nan).sum(1)

    settings = {"steps": 3, "step_size": 0.01, "generator": generator()}
    x, record = langevin(cut, torch.tensor([[0.0], [2.5], [0.0]]), **settings)
    assert x.isfinite().all() and record.strength.isnan()
    _, record = langevin(cut, torch.zeros(3, 1), **settings)
    assert record.strength.isfinite()
