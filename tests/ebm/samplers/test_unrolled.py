"""The short-run chain as a generator: values, gradients, memory."""

import weakref
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ebm.energy import frozen
from ebm.samplers.langevin import langevin
from ebm.samplers.unrolled import unrolled

SEEDS = [3, 4, 5]
SETTINGS: dict[str, Any] = {"steps": 7, "step_size": 0.3, "seeds": SEEDS}
OPTIONS = [
    {},
    {"noise": 0.0, "seeds": None},
    {"temperature": 0.1},
    {"bounds": (-0.5, 0.6)},
    {"clip": 0.3},
    {"held": torch.tensor([True, False, False, True])},
    {"held": torch.tensor([True, False, False, True]), "bounds": (-0.5, 0.6), "clip": 0.3},
]


class Network(nn.Module):
    """f(x), smooth and curved, in double precision; counts its evaluations."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(width, 8), nn.Tanh(), nn.Linear(8, 8), nn.SiLU())
        self.head = nn.Linear(8, 1)
        self.double()
        with torch.no_grad():
            for p in self.parameters():
                p.mul_(2)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.head(self.layers(x)).squeeze(1) - x.square().sum(1) / 4


def start(requires_grad: bool = True) -> Tensor:
    source = torch.Generator().manual_seed(0)
    z = torch.randn(3, 4, generator=source, dtype=torch.float64)
    return z.requires_grad_(requires_grad)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("segment", [None, 3])
def test_values_are_those_of_the_chain(options: dict[str, Any], segment: int | None) -> None:
    settings = {**SETTINGS, **options}
    with frozen(Network()) as network:
        x = unrolled(network, start(), segment=segment, **settings)
        right, _ = langevin(network, start(False), **settings)
    assert torch.allclose(x, right, atol=1e-6)
    assert not torch.allclose(x, start(False), atol=0.1)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("segment", [None, 3])
def test_gradient_to_z_is_that_of_finite_differences(
    options: dict[str, Any], segment: int | None
) -> None:
    settings = {**SETTINGS, **options, "segment": segment}
    with frozen(Network()) as network:
        assert torch.autograd.gradcheck(lambda z: unrolled(network, z, **settings), start())


@pytest.mark.parametrize("segment", [None, 3])
def test_gradient_to_the_parameters_is_that_of_finite_differences(segment: int | None) -> None:
    network = Network()
    weight = network.layers[0].weight
    settings = {**SETTINGS, "segment": segment, "parameters": list(network.parameters())}

    def loss() -> Tensor:
        return unrolled(network, start(False), **settings).square().sum()

    (found,) = torch.autograd.grad(loss(), weight)
    for row, column in [(0, 0), (3, 2), (7, 3)]:
        ends = []
        for shift in (1e-6, -1e-6):
            with torch.no_grad():
                weight[row, column] += shift
            ends.append(loss().item())
            with torch.no_grad():
                weight[row, column] -= shift
        assert found[row, column].item() == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5)
    assert found.abs().max() > 1e-3


@pytest.mark.parametrize("segment", [1, 2, 3, 7, 50])
def test_segments_change_neither_values_nor_gradients(segment: int) -> None:
    network = Network()
    parameters = list(network.parameters())

    def run(segment: int | None) -> list[Tensor]:
        z = start()
        x = unrolled(network, z, segment=segment, parameters=parameters, **SETTINGS)
        return [x, *torch.autograd.grad(x.pow(3).sum(), [z, *parameters], allow_unused=True)]

    for mine, right in zip(run(segment), run(None), strict=True):
        assert (mine is None and right is None) or torch.allclose(mine, right, atol=1e-12)


def test_gradient_is_that_of_a_chain_written_out_by_hand() -> None:
    """With f = -x' A x / 2, M(z) = (I - dt A / 2)^K z, which holds the Hessian of f K times."""
    a = torch.tensor([[1.0, 0.4], [0.4, 2.0]], dtype=torch.float64)
    z = torch.randn(1, 2, dtype=torch.float64, requires_grad=True)

    def density(x: Tensor) -> Tensor:
        return -(x @ a * x).sum(1) / 2

    x = unrolled(density, z, steps=6, step_size=0.2, noise=0.0, segment=2)
    power = torch.linalg.matrix_power(torch.eye(2, dtype=torch.float64) - 0.1 * a, 6)
    assert torch.allclose(x, z @ power)
    assert torch.allclose(torch.autograd.grad(x[0, 0], z)[0][0], power[0])


def test_no_steps_are_the_identity() -> None:
    with frozen(Network()) as network:
        for segment in (None, 4):
            x = unrolled(network, start(), steps=0, step_size=0.1, noise=0.0, segment=segment)
            assert torch.equal(x, start(False))


def test_fixed_noise_makes_one_function_of_z() -> None:
    with frozen(Network()) as network:
        first, second = (unrolled(network, start(), **SETTINGS) for _ in range(2))
        assert torch.equal(first, second)
        other = unrolled(network, start(), **{**SETTINGS, "seeds": [7, 8, 9]})
        assert not torch.allclose(first, other, atol=0.01)


def test_segments_cost_one_more_run_of_the_chain() -> None:
    with frozen(Network()) as network:
        for segment, right in [(None, 20), (5, 40)]:
            network.calls, z = 0, start()
            x = unrolled(network, z, steps=20, step_size=0.1, noise=0.0, segment=segment)
            torch.autograd.grad(x.sum(), z)
            assert network.calls == right + 1, "one more call asks whether f learns"


class Kept:
    """A tensor that a graph keeps."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def held_by_graph(steps: int, segment: int | None) -> int:
    """Return how many tensors the graph of M keeps after the forward run."""
    there: weakref.WeakSet[Kept] = weakref.WeakSet()

    def pack(tensor: Tensor) -> Kept:
        kept = Kept(tensor)
        there.add(kept)
        return kept

    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept.tensor)
    with frozen(Network()) as network, hooks:
        x = unrolled(network, start(), steps=steps, step_size=0.1, noise=0.0, segment=segment)
        assert x.requires_grad
        return len(there)


def test_segments_keep_one_state_each() -> None:
    assert held_by_graph(20, 5) == 4
    assert held_by_graph(40, 10) == 4
    assert held_by_graph(40, None) > 40 * 5


def test_reconstruction_descends_through_the_chain() -> None:
    """min_z ||x - M(z)||^2, with the noise off, comes down to a hundredth."""
    with frozen(Network()) as network:
        settings: dict[str, Any] = {"steps": 5, "step_size": 0.1, "noise": 0.0, "segment": 2}
        target = unrolled(network, start(False), **settings).detach()
        z = torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
        optimiser, losses = torch.optim.Adam([z], lr=0.1), []
        for _ in range(150):
            loss = (target - unrolled(network, z, **settings)).square().sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    assert losses[-1] < losses[0] / 100


@pytest.mark.parametrize("segment", [None, 2])
def test_parameters_that_learn_must_be_named_or_frozen(segment: int | None) -> None:
    with pytest.raises(ValueError, match="has parameters that learn: freeze them"):
        unrolled(Network(), start(), segment=segment, **SETTINGS)


@pytest.mark.parametrize("segment", [0, -3])
def test_segment_below_one_is_refused(segment: int) -> None:
    with pytest.raises(ValueError, match=f"segment is {segment}; it must be 1 or more"):
        unrolled(lambda x: x.sum(1), start(), segment=segment, **SETTINGS)
