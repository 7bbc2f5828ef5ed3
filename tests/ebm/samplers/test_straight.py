"""The gradient without a graph has the bits of autograd's, and autograd does what it cannot."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from benchmarks.workloads import ALL, work
from ebm.energy import in_precision, tilt
from ebm.networks.convnet import ConvNet
from ebm.networks.mlp import MLP
from ebm.samplers import langevin as module
from ebm.samplers.hmc import hmc
from ebm.samplers.langevin import langevin, value_and_grad
from ebm.samplers.mala import mala
from ebm.samplers.straight import straight

ACTIVATIONS = [
    *(nn.SiLU(), nn.ReLU(), nn.GELU(), nn.GELU(approximate="tanh")),
    *(nn.LeakyReLU(0.2), nn.Softplus(), nn.Softplus(2.0, 3.0)),
]
SERVED = [load for load in ALL if load.name != "point net"]
both_types = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
tilted = pytest.mark.parametrize("sd", [None, 0.3])


def same(f: Any, x: Tensor) -> None:
    """Check that f is served, to the bit and in autograd's layout."""
    quick = straight(f, x)
    assert quick is not None
    value, gradient = quick(x)
    right, slope = value_and_grad(f, x)
    for found, wanted in ((value, right), (gradient, slope)):
        torch.testing.assert_close(found, wanted, rtol=0, atol=0, equal_nan=True)
    assert gradient.stride() == slope.stride() and not gradient.requires_grad


def points(count: int, dim: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(1), dtype=dtype)


@tilted
@both_types
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_points_have_the_bits_of_autograd(
    dtype: torch.dtype, sd: float | None, data: st.DataObject
) -> None:
    widths = data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=3))
    dim, count = data.draw(st.integers(1, 30)), data.draw(st.integers(2, 70))
    torch.manual_seed(0)
    network = MLP(dim, widths, data.draw(st.sampled_from([1.0, 0.3, 4.0]))).to(dtype)
    same(tilt(network, sd), 3 * points(count, dim, dtype))


@tilted
@both_types
@pytest.mark.parametrize("size", [2, 4, 8, 32])
@pytest.mark.parametrize(("channels", "count"), [(1, 2), (3, 7), (1, 64)])
@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last])
def test_images_have_the_bits_of_autograd(
    size: int, channels: int, count: int, form: Any, dtype: torch.dtype, sd: float | None
) -> None:
    torch.manual_seed(0)
    network = ConvNet(size, channels, width=5, widest=11).to(dtype)
    x = points(count, channels * size**2, dtype).view(count, channels, size, size)
    same(tilt(network, sd), x.to(memory_format=form))
    same(tilt(network.to(memory_format=torch.contiguous_format), sd), x)


@both_types
@pytest.mark.parametrize("act", ACTIVATIONS, ids=str)
def test_activations_have_the_bits_of_autograd(act: nn.Module, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    flat = nn.Sequential(nn.Linear(7, 33), act, nn.Linear(33, 9, bias=False), act, nn.Linear(9, 1))
    x = 4 * points(13, 7, dtype)
    x[0, 0], x[1, 1], x[2, 2] = torch.inf, -torch.inf, 0.0
    same(nn.Sequential(flat, nn.Flatten(0)).to(dtype), x)
    convolved = nn.Sequential(
        nn.Conv2d(2, 6, 3, 2, 1, groups=2, bias=False), act, nn.Conv2d(6, 1, 4)
    )
    same(
        nn.Sequential(convolved, nn.Flatten(0)).to(dtype), 4 * points(6, 98, dtype).view(6, 2, 7, 7)
    )


@tilted
@pytest.mark.parametrize("load", SERVED, ids=lambda load: load.name)
def test_networks_of_the_benchmark_have_the_bits_of_autograd(load: Any, sd: float | None) -> None:
    for layout in load.layouts:
        task = work(load._replace(chains=2), layout, "cpu")
        same(tilt(task.network, sd), task.x)


class Doubled(MLP):
    """Another f than its layers say: `in_turn` is that of the class below."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def hooked(network: nn.Module) -> nn.Module:
    list(network.modules())[2].register_forward_hook(lambda layer, args, y: 2 * y)
    return network


def replaced(network: nn.Module) -> nn.Module:
    forward = network.forward
    network.forward = lambda x: 2 * forward(x)  # type: ignore[method-assign]
    return network


def normalised(network: MLP) -> nn.Module:
    parametrizations.spectral_norm(network.head)
    return network


UNSERVED: dict[str, Callable[[], Any]] = {
    "a function": lambda: lambda x: x.sum(1),
    "another forward": lambda: Doubled(3, [4]),
    "a hook": lambda: hooked(MLP(3, [4])),
    "forward replaced": lambda: replaced(MLP(3, [4])),
    "spectral norm": lambda: normalised(MLP(3, [4])),
    "old weight norm": lambda: nn.Sequential(nn.utils.weight_norm(nn.Linear(3, 1)), nn.Flatten(0)),
    "an unknown layer": lambda: nn.Sequential(nn.Linear(3, 1), nn.Tanh(), nn.Flatten(0)),
    "in place": lambda: nn.Sequential(nn.Linear(3, 1), nn.SiLU(inplace=True), nn.Flatten(0)),
    "of rows in rows": lambda: nn.Sequential(nn.Unflatten(1, (1, 3)), nn.Linear(3, 1)),
    "rounded": lambda: in_precision(MLP(3, [4]), "bfloat16"),
    "rounded, tilted": lambda: tilt(in_precision(MLP(3, [4]), "bfloat16"), 1.0),
}


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:.*weight_norm")
@pytest.mark.parametrize("made", UNSERVED.values(), ids=UNSERVED)
def test_what_is_not_known_is_left_to_autograd(made: Callable[[], Any]) -> None:
    torch.manual_seed(0)
    f, x = made(), points(5, 3)
    assert straight(f, x) is None
    assert straight(tilt(f, 0.5), x) is None


def test_modes_types_and_layouts_that_are_not_known_are_left_to_autograd() -> None:
    network, x = MLP(3, [4]), points(3, 3)
    assert straight(network, x) is not None
    assert straight(network, x.T) is None
    assert straight(network, x[:1]) is None
    assert straight(network, x.to("meta")) is None
    assert straight(network, x.double()) is None
    assert straight(network.bfloat16(), x.bfloat16()) is None
    network.float()
    with torch.autocast("cpu", torch.bfloat16):
        assert straight(network, x) is None
    hook = nn.modules.module.register_module_forward_hook(lambda layer, args, y: None)
    assert straight(network, x) is None
    hook.remove()
    assert straight(network, x) is not None


@pytest.mark.parametrize("made", [lambda: Doubled(3, [4]), lambda: hooked(MLP(3, [4]))])
def test_chain_of_what_is_left_to_autograd_is_right(made: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    f, x = made(), points(4, 3)
    end, _ = langevin(f, x, steps=1, step_size=0.2, noise=0.0)
    assert torch.equal(end, x.add(value_and_grad(f, x)[1], alpha=0.1))


@tilted
@pytest.mark.parametrize("sampler", [langevin, mala, hmc])
@pytest.mark.parametrize("network", [MLP(3, [20, 20], 2.0), ConvNet(8, 3, 4)], ids=["mlp", "conv"])
def test_chains_are_those_of_autograd_to_the_bit(
    network: nn.Module, sampler: Any, sd: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = points(6, 192).view(6, 3, 8, 8) if isinstance(network, ConvNet) else points(50, 3)
    more = {"leapfrogs": 3} if sampler is hmc else {}
    settings = {"steps": 8, "step_size": 0.3, "bounds": (-2.0, 2.0), "clip": 0.5, **more}

    def run() -> tuple[Tensor, Any]:
        return sampler(tilt(network, sd), x, generator=torch.Generator().manual_seed(2), **settings)

    end, record = run()
    monkeypatch.setattr(module, "straight", lambda f, x: None)
    right, other = run()
    assert torch.equal(end, right) and torch.equal(record.strength, other.strength)
    assert not torch.equal(end, x)


def test_chain_leaves_parameters_and_their_gradients_alone() -> None:
    network, x = MLP(3, [4]), points(5, 3)
    before = [p.clone() for p in network.parameters()]
    langevin(network, x, steps=3, step_size=0.2)
    for p, was in zip(network.parameters(), before, strict=True):
        assert torch.equal(p, was) and p.grad is None and p.requires_grad
