"""A step of chains as a CUDA graph: a few launches in place of some tens. Opt-in.

All that a step does to x is captured once and replayed at each step. The noise is drawn before the
replay, outside the graph: generator and seeds are used as without one, and the noise is the same.

A graph computes with the memory that it saw. Parameters and buffers that are changed in place
(optimisers, load_state_dict) are seen; where one has moved, a new graph is captured. All else about
the module must stay as it is: plain attributes, branches and torch's switches (TF32) are those of
the capture. A module's chains run on one stream. A capture costs more than a short chain.
"""

import warnings
from collections.abc import Callable, Hashable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from ebm.energy import LogDensity, Rounded, Tilt

Step = Callable[[Tensor, Tensor | None, Tensor], Tensor]  # x, noise, strength -> value

WARM_UP = 3  # steps before the capture, as torch advises: libraries set themselves up
MOST = 8  # graphs a module keeps; each holds the memory of one step


class Graph:
    """A captured step, on buffers of its own, shaped like x: (N, ...) and strength: ()."""

    def __init__(self, step: Step, x: Tensor, strength: Tensor) -> None:
        self.x, self.noise, self.strength = x.clone(), torch.zeros_like(x), strength.clone()
        state = (self.x, self.noise, self.strength)
        self.replay, self.value = capture(lambda: step(*state), x.device)

    def __call__(self, x: Tensor, noise: Tensor | None, strength: Tensor) -> Tensor:
        """Take the step on the own x and strength, which are those given."""
        if noise is not None:
            self.noise.copy_(noise)
        self.replay()
        return self.value


CACHE: WeakKeyDictionary[nn.Module, dict[Hashable, Graph | None]] = WeakKeyDictionary()


def capture(step: Callable[[], Tensor], device: torch.device) -> tuple[Callable[[], None], Tensor]:
    """Return what replays a step, and what it returns, which each replay overwrites.

    Raises:
        RuntimeError: the step cannot be captured: it waits for the device, or memory is short.
    """
    with torch.cuda.device(device):
        graph, side = torch.cuda.CUDAGraph(), torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(side):
                for _ in range(WARM_UP):
                    step()
        finally:  # what has been launched reads buffers that a failure frees
            torch.cuda.current_stream().wait_stream(side)
        # torch.cuda.graph does not give the stream back where the end of the capture raises.
        with torch.cuda.stream(side), torch.cuda.graph(graph, stream=side):
            value = step()
    return graph.replay, value


def can_be_captured(network: nn.Module, x: Tensor) -> bool:
    """Tell whether a graph could stand for the step: on a GPU, frozen, without autocast.

    A parameter that learns has a node in autograd's graph that may wait for another stream.
    """
    learns = any(p.requires_grad for p in network.parameters())
    switched = torch.is_autocast_enabled("cuda") or torch.is_inference_mode_enabled()
    return x.is_cuda and not learns and not switched


def graphed(
    step: Step, log_density: LogDensity, move: Hashable, x: Tensor, strength: Tensor
) -> tuple[Step, Tensor, Tensor]:
    """Return a step that does the same, and the x and strength that it works on.

    Args:
        step: as it is without a graph; it is returned where there can be none.
        log_density: what the step moves by: a module, tilted or rounded or not. Its graphs live as
            long as the module.
        move: the settings of the step; others have another graph.
        x, strength: (N, ...) and (), where the chains start; copied where others are returned.
    """
    network, around = core(log_density)
    if not isinstance(network, nn.Module) or not can_be_captured(network, x):
        return step, x, strength
    graphs, key = CACHE.setdefault(network, {}), (move, around, *signature(network, x))
    if key not in graphs:
        if len(graphs) >= MOST:
            graphs.pop(next(iter(graphs)))
        graphs[key] = attempt(step, x, strength)
    graph = graphs[key]
    if graph is None:
        return step, x, strength
    return graph, graph.x.copy_(x), graph.strength.copy_(strength)


def core(log_density: LogDensity) -> tuple[LogDensity, tuple[Hashable, ...]]:
    """Return what is inside of references and roundings, and which of them are around it."""
    around: list[Hashable] = []
    while isinstance(log_density, Tilt | Rounded):
        around += [log_density.sd if isinstance(log_density, Tilt) else "rounded"]
        log_density = log_density.f
    return log_density, tuple(around)


def attempt(step: Step, x: Tensor, strength: Tensor) -> Graph | None:
    """Return the captured step; None, with a warning, where it cannot be captured."""
    step(x.clone(), torch.zeros_like(x), strength.clone())  # what fails here fails without a graph
    try:
        return Graph(step, x, strength)
    except RuntimeError as error:
        first = str(error).strip().splitlines()[0]
        warnings.warn(f"no CUDA graph of this step ({first}); it runs without", stacklevel=4)
        return None


def signature(network: nn.Module, x: Tensor) -> tuple[Hashable, ...]:
    """Return all that a capture depends on: x, modes, and where parameters and buffers lie."""
    modes = tuple(module.training for module in network.modules())
    held = (*network.parameters(), *network.buffers())
    places = tuple((t.data_ptr(), t.dtype, t.stride()) for t in held)
    return x.device, x.dtype, x.shape, x.stride(), modes, places
