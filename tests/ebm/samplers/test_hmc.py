"""The leapfrog, its walls and its step size; exactness is in test_every_sampler."""

import pytest
import torch
from torch import Tensor

from ebm.samplers.averaging import DualAveraging
from ebm.samplers.hmc import Hamiltonian, hmc, reflect
from ebm.samplers.mala import mala
from ebm.samplers.metropolis import Sources, State, Target


def well(x: Tensor) -> Tensor:
    """A density that is no Gaussian, with values that depend on each other."""
    return -(x.pow(4) / 4 + x.prod(1, keepdim=True).square() / 2 - x / 3).sum(1)


def normal(x: Tensor) -> Tensor:
    return -x.square().sum(1) / 2


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def trajectory(
    x: Tensor, momentum: Tensor, bounds: tuple[float, float] | None, clip: float | None, L: int = 9
) -> tuple[Tensor, Tensor]:
    """Fly L leapfrogs from x with this momentum, by the sampler's own kicks and drifts."""
    target = Target(well, None)
    step = torch.tensor(0.2, dtype=x.dtype)
    flight = Hamiltonian(
        target,
        Sources(x, 1, None, generator()),
        DualAveraging(step, 0, 0.8),
        leapfrogs=L,
        mass=torch.tensor([[1.0, 0.5]], dtype=x.dtype),
        temperature=1.3,
        bounds=bounds,
        clip=clip,
    )
    state = target.at(x)
    for _ in range(L):
        momentum = flight.kick(momentum, state, step / 2)
        x, momentum = flight.drift(state.x, momentum, step)
        state = target.at(x)
        momentum = flight.kick(momentum, state, step / 2)
    return state.x, momentum


CASES = [(None, None), ((-0.6, 0.5), None), (None, 0.4), ((-0.6, 0.5), 0.4)]


@pytest.mark.parametrize(("bounds", "clip"), CASES)
def test_trajectory_flown_back_returns_to_its_start(
    bounds: tuple[float, float] | None, clip: float | None
) -> None:
    x = torch.rand(200, 2, generator=generator(), dtype=torch.float64) - 0.5
    momentum = torch.randn(200, 2, generator=generator(1), dtype=torch.float64) * 2
    there, arrived = trajectory(x, momentum, bounds, clip)
    back, again = trajectory(there, -arrived, bounds, clip)
    assert torch.allclose(back, x, atol=1e-9) and torch.allclose(-again, momentum, atol=1e-9)
    assert (there - x).abs().max() > 0.3
    if bounds:
        free, _ = trajectory(x, momentum, None, clip)
        assert ((free < bounds[0]) | (free > bounds[1])).any(1).float().mean() > 0.3


@pytest.mark.parametrize(("bounds", "clip"), CASES)
def test_trajectory_preserves_volume(
    bounds: tuple[float, float] | None, clip: float | None
) -> None:
    """The determinant of the map of (x, v), by central differences, is 1 or -1."""
    start = torch.rand(40, 4, generator=generator(2), dtype=torch.float64) - 0.5
    start[:, 2:] *= 4
    width, columns = 1e-6, []
    for i in range(4):
        shift = width * torch.eye(4, dtype=torch.float64)[i]
        ends = [
            torch.cat(trajectory(at[:, :2], at[:, 2:], bounds, clip), 1)
            for at in (start + shift, start - shift)
        ]
        columns.append((ends[0] - ends[1]) / (2 * width))
    determinants = torch.linalg.det(torch.stack(columns, 2))
    # A start within 1e-6 of a wall, or of the clip's kink, is not differentiable: none is met here.
    assert torch.allclose(determinants.abs(), torch.ones(40, dtype=torch.float64), atol=1e-5)


def test_walls_turn_round_as_often_as_they_are_hit() -> None:
    x = torch.tensor([[0.5], [1.25], [2.5], [-0.25], [-1.5], [1.0]])
    momentum = torch.ones(6, 1)
    inside, turned = reflect(x, momentum, (0.0, 1.0), None)
    assert torch.allclose(inside, torch.tensor([[0.5], [0.75], [0.5], [0.25], [0.5], [1.0]]))
    assert torch.equal(turned.flatten()[:5], torch.tensor([1.0, -1, 1, -1, 1]))


def test_error_of_the_energy_falls_with_the_square_of_the_step_size() -> None:
    def error(step_size: float, leapfrogs: int) -> float:
        start = torch.randn(3000, 5, generator=generator(3))
        settings = {"steps": 1, "step_size": step_size, "leapfrogs": leapfrogs}
        return hmc(normal, start, generator=generator(4), **settings)[1].energy_error.item()

    assert error(0.4, 4) / error(0.2, 8) == pytest.approx(4, rel=0.1)


def test_one_leapfrog_is_the_adjusted_langevin_step() -> None:
    """eps^2 is dt, and at one seed the noise is the momentum."""
    start = torch.randn(50, 2, generator=generator())
    seeds = list(range(50))
    one, record = hmc(well, start, steps=20, step_size=0.3, leapfrogs=1, seeds=seeds)
    other, beside = mala(well, start, steps=20, step_size=0.09, seeds=seeds)
    assert torch.allclose(one, other, atol=1e-4)
    assert torch.equal(record.acceptance, beside.acceptance)


@pytest.mark.parametrize("first", [0.01, 5.0])
@pytest.mark.parametrize("wanted", [0.65, 0.8])
def test_adaptation_finds_the_acceptance_asked_for(first: float, wanted: float) -> None:
    """The scales differ: on equal ones trajectories resonate; acceptance is not monotone."""
    sd = torch.linspace(0.5, 2, 20)

    def stretched(x: Tensor) -> Tensor:
        return normal(x / sd)

    start = torch.randn(200, 20, generator=generator()) * sd
    settings = {"steps": 400, "step_size": first, "leapfrogs": 3, "adapt": 300}
    _, record = hmc(stretched, start, acceptance=wanted, generator=generator(1), **settings)
    assert record.acceptance.mean().item() == pytest.approx(wanted, abs=0.04)
    settings = {"steps": 100, "step_size": record.step_size, "leapfrogs": 3}
    _, again = hmc(stretched, start, seeds=list(range(200)), **settings)
    assert again.acceptance.mean().item() == pytest.approx(wanted, abs=0.04)
    assert torch.equal(again.step_size, record.step_size)


def test_chain_is_exact_after_its_adaptation() -> None:
    start = torch.randn(4000, 5, generator=generator())
    settings = {"steps": 200, "step_size": 1.0, "leapfrogs": 3, "adapt": 100}
    x, _ = hmc(normal, start, generator=generator(5), **settings)
    assert x.mean().abs().item() < 4 / x.numel() ** 0.5
    assert x.var().item() == pytest.approx(1, abs=4 * (2 / x.numel()) ** 0.5)


def test_broken_trajectories_are_counted_and_refused() -> None:
    start = torch.full((20, 2), 1.0)
    x, record = hmc(well, start, steps=5, step_size=50.0, leapfrogs=10, generator=generator())
    assert record.divergent == 1 and record.energy_error == 0
    assert torch.equal(x, start) and record.acceptance.max() == 0


def test_momenta_have_the_variance_of_the_mass() -> None:
    """Where the density is flat, x moves by L eps M^-1 v with v ~ N(0, M)."""
    mass = torch.tensor([4.0, 0.25])
    settings = {"steps": 1, "step_size": 0.5, "leapfrogs": 2, "mass": mass}
    x, _ = hmc(lambda x: 0 * x.sum(1), torch.zeros(40000, 2), generator=generator(), **settings)
    assert torch.allclose(x.var(0), 1 / mass, rtol=4 * (2 / 40000) ** 0.5)


BAD = [
    ({"leapfrogs": 0}, "leapfrogs is 0; it must be 1 or more"),
    ({"adapt": 9}, "adapt is 9; it must be from 0 to steps, 3"),
    ({"adapt": -1}, "adapt is -1"),
    ({"acceptance": 1.0}, "acceptance is 1.0; it must be between 0 and 1"),
    ({"bounds": (0.0, float("inf"))}, "must be finite"),
    ({"temperature": -1.0}, "temperature is -1.0; it must be positive"),
    ({"mass": torch.ones(3)}, "mass has shape"),
    ({"adapt": 2, "seeds": [1, 2]}, "seeds and adapt"),
]


@pytest.mark.parametrize(("bad", "said"), BAD)
def test_bad_trajectories_are_refused_in_one_sentence(bad: dict[str, object], said: str) -> None:
    settings = {"steps": 3, "step_size": 0.1, "leapfrogs": 2, **bad}
    with pytest.raises(ValueError, match=said) as caught:
        hmc(normal, torch.zeros(2, 2), **settings)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_state_at_a_point_has_its_value_and_its_free_gradient() -> None:
    held = torch.tensor([True, False])
    state = Target(normal, held).at(torch.tensor([[3.0, 2.0]]))
    assert isinstance(state, State) and state.value.item() == -6.5
    assert torch.equal(state.gradient, torch.tensor([[0.0, -2.0]]))
