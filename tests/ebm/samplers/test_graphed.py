"""A step replayed as a CUDA graph does what the step does; without a GPU, its bookkeeping."""

import gc
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ebm.energy import frozen
from ebm.networks.convnet import ConvNet
from ebm.samplers import graphed
from ebm.samplers.langevin import langevin

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
GPU = torch.device("cuda")
CHAIN: dict[str, Any] = {"steps": 6, "step_size": 0.3, "bounds": (-1.5, 1.5), "clip": 2.0}


class Quadratic(nn.Module):
    """log N(x; mean, I), up to a constant."""

    def __init__(self, mean: float = 0.0) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.tensor(mean), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return -(x - self.mean).square().flatten(1).sum(1) / 2


class Waiting(Quadratic):
    """Waits for the device, which no graph can."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1.0 if x.sum().item() < 1e9 else 0.0)


def seeded(device: torch.device | str = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed(4)


def both(network: nn.Module, x: Tensor, **settings: Any) -> tuple[Any, Any]:
    """The chains without a graph and with one, from one state of the generator."""
    plain = langevin(network, x, generator=seeded(x.device), **settings)
    return plain, langevin(network, x, generator=seeded(x.device), graph=True, **settings)


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let a step on the CPU be 'captured': run again at each replay. Counts the captures."""
    captures = []

    def capture(step: Callable[[], Tensor], device: torch.device) -> Any:
        captures.append(1)
        value = step().clone()
        return lambda: value.copy_(step()), value

    monkeypatch.setattr(graphed, "capture", capture)
    monkeypatch.setattr(graphed, "can_be_captured", lambda network, x: True)
    return captures


def test_graph_changes_nothing_on_the_cpu() -> None:
    network = ConvNet(4, width=4).requires_grad_(False)
    (x, record), (y, other) = both(network, torch.zeros(5, 1, 4, 4), **CHAIN)
    assert torch.equal(x, y) and torch.equal(record.strength, other.strength)
    assert network not in graphed.CACHE


@pytest.mark.parametrize("more", [{}, {"keep": 2}, {"noise": 0.0}, {"held": torch.eye(4) > 0}])
def test_replayed_step_gives_the_same_chain_and_record(
    pretended: list[int], more: dict[str, Any]
) -> None:
    network = ConvNet(4, width=4).requires_grad_(False)
    start = torch.randn(5, 1, 4, 4, generator=seeded())
    (x, record), (y, other) = both(network, start, **CHAIN, **more)
    assert torch.equal(x, y) and not torch.equal(x, start)
    assert torch.equal(record.strength, other.strength)
    assert torch.equal(record.movement, other.movement)
    assert len(record.path) == len(other.path)
    assert all(torch.equal(a, b) for a, b in zip(record.path, other.path, strict=True))
    assert len(pretended) == 1


def test_graph_is_used_again_and_leaves_what_it_gave_before(pretended: list[int]) -> None:
    network = Quadratic()
    first, _ = langevin(network, torch.ones(3, 2), generator=seeded(), graph=True, **CHAIN)
    kept = first.clone()
    langevin(network, -torch.ones(3, 2), generator=seeded(), graph=True, **CHAIN)
    assert torch.equal(first, kept) and len(pretended) == 1


def test_another_step_shape_mode_or_place_of_the_parameters_has_another_graph(
    pretended: list[int],
) -> None:
    network, x = Quadratic(), torch.ones(3, 2)

    def run(x: Tensor = x, **changes: Any) -> int:
        langevin(network, x, generator=seeded(), graph=True, **{**CHAIN, **changes})
        return len(pretended)

    assert [run(), run(), run(steps=2)] == [1, 1, 1]
    assert run(step_size=0.1) == 2
    assert run(x=torch.ones(4, 2)) == 3
    network.eval()
    assert run() == 4
    network.mean.data = torch.tensor(1.0)
    assert run() == 5
    for power in range(graphed.MOST):
        run(step_size=0.01 * 2**power)
    assert len(graphed.CACHE[network]) == graphed.MOST


def test_graphs_end_with_their_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphed, "capture", lambda step, device: (lambda: None, step()))
    monkeypatch.setattr(graphed, "can_be_captured", lambda network, x: True)
    network, before = Quadratic(), len(graphed.CACHE)
    langevin(network, torch.ones(3, 2), graph=True, **CHAIN)
    assert len(graphed.CACHE) == before + 1
    del network
    gc.collect()
    assert len(graphed.CACHE) == before


def test_step_that_cannot_be_captured_runs_without_a_graph(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(step: Any, device: Any) -> Any:
        raise RuntimeError("operation not permitted")

    monkeypatch.setattr(graphed, "capture", refuse)
    monkeypatch.setattr(graphed, "can_be_captured", lambda network, x: True)
    with pytest.warns(UserWarning, match="no CUDA graph of this step .operation not permitted"):
        (x, _), (y, _) = both(Quadratic(), torch.ones(3, 2), **CHAIN)
    assert torch.equal(x, y)


def test_module_that_learns_is_not_captured() -> None:
    x = torch.ones(3, 2, device=GPU if torch.cuda.is_available() else "meta")
    network = nn.Linear(2, 1)
    assert not graphed.can_be_captured(network, x)
    network.requires_grad_(False)
    assert graphed.can_be_captured(network, x) == x.is_cuda


@needs_gpu
@pytest.mark.parametrize("more", [{}, {"keep": 2}, {"noise": 0.0}])
def test_graph_gives_the_chain_of_the_eager_loop(more: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = ConvNet(8, width=8).to(GPU).requires_grad_(False)
    (x, record), (y, other) = both(network, torch.zeros(16, 1, 8, 8, device=GPU), **CHAIN, **more)
    assert network in graphed.CACHE and None not in graphed.CACHE[network].values()
    torch.testing.assert_close(x, y, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(record.strength, other.strength)
    assert len(record.path) == len(other.path)


@needs_gpu
def test_moments_of_a_gaussian_are_those_of_the_eager_loop() -> None:
    settings = {"steps": 80, "step_size": 0.5}
    for x, _ in both(Quadratic().to(GPU), torch.full((4000, 50), 3.0, device=GPU), **settings):
        assert x.mean().item() == pytest.approx(0, abs=0.015)
        assert x.var().item() == pytest.approx(1 / (1 - 0.5 / 4), rel=0.015)


@needs_gpu
def test_graph_sees_parameters_that_an_optimiser_changed_and_leaves_the_generator_in_step() -> None:
    torch.manual_seed(0)
    network, x = ConvNet(8, width=8).to(GPU), torch.zeros(16, 1, 8, 8, device=GPU)
    adam = torch.optim.Adam(network.parameters(), lr=0.05, fused=True)
    plain, replayed = seeded(GPU), seeded(GPU)
    ends = []
    for _ in range(3):
        with frozen(network):
            one, _ = langevin(network, x, generator=plain, **CHAIN)
            two, _ = langevin(network, x, generator=replayed, graph=True, **CHAIN)
        torch.testing.assert_close(one, two, atol=1e-4, rtol=1e-4)
        assert torch.equal(plain.get_state(), replayed.get_state())
        ends.append(two)
        adam.zero_grad()
        network(one).mean().backward()
        adam.step()
    assert len(graphed.CACHE[network]) == 1
    assert not torch.allclose(ends[0], ends[1], atol=1e-3)


@needs_gpu
def test_replays_do_not_wait_for_the_device() -> None:
    network, x, source = Quadratic().to(GPU), torch.zeros(64, 5, device=GPU), seeded(GPU)
    langevin(network, x, generator=source, graph=True, **CHAIN)  # captured before that is an error
    torch.cuda.set_sync_debug_mode("error")
    try:
        langevin(network, x, generator=source, graph=True, **CHAIN)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@needs_gpu
def test_after_a_capture_that_failed_all_goes_on_as_before() -> None:
    x, stream = torch.zeros(64, 5, device=GPU), torch.cuda.current_stream()
    with pytest.warns(UserWarning, match="no CUDA graph of this step"):
        (one, _), (two, _) = both(Waiting().to(GPU), x, **CHAIN)
    torch.testing.assert_close(one, two)
    assert torch.cuda.current_stream() == stream
    torch.randn(3, device=GPU)  # torch's own generator, which a capture takes part in
    network = Quadratic().to(GPU)
    (one, _), (two, _) = both(network, x, **CHAIN)
    torch.testing.assert_close(one, two)
    assert None not in graphed.CACHE[network].values()
