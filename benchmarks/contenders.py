"""Ways to run the same Langevin chains; all but `bare` return the end states.

The two loops are written in the styles of published scripts, parameters left as training has them.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.workloads import Work

Contender = Callable[[Work], Tensor]


def bare(work: Work) -> Tensor:
    """The denominator: f and its gradient in x, K times, the parameters frozen; nothing else."""
    work.network.requires_grad_(False)
    for _ in range(work.steps):
        x = work.x.detach().requires_grad_(True)
        torch.autograd.grad(work.network(x).sum(), x)
    work.network.requires_grad_(True)
    return work.x


def ours(work: Work, seeded: bool = False, graph: bool = False) -> Tensor:
    """The sampler of every system, with one generator or one seed a chain."""
    from ebm.energy import frozen
    from ebm.samplers.langevin import langevin
    from ebm.samplers.noise import seed_range

    source = {"seeds": seed_range(0, len(work.x))} if seeded else {"generator": work.generator}
    with frozen(work.network):
        return langevin(
            work.network,
            work.x,
            steps=work.steps,
            step_size=work.step_size,
            noise=work.noise,
            graph=graph,
            **source,  # type: ignore[arg-type]
        )[0]


def seeded(work: Work) -> Tensor:
    """As `ours`, one seed a chain."""
    return ours(work, seeded=True)


def graphed(work: Work) -> Tensor:
    """As `ours`, each step replayed as a CUDA graph; on a GPU alone."""
    return ours(work, graph=True)


def backward(work: Work) -> Tensor:
    """A loop that calls backward, and so fills the gradients of all parameters too."""
    x, noise = work.x.clone().requires_grad_(True), torch.empty_like(work.x)
    for _ in range(work.steps):
        noise.normal_(0, work.noise, generator=work.generator)
        work.network(x).sum().backward()
        assert x.grad is not None
        with torch.no_grad():
            x += work.step_size / 2 * x.grad + noise
        x.grad.zero_()
    work.network.zero_grad()
    return x.detach()


def retain(work: Work) -> Tensor:
    """A loop that asks for the gradient in x alone, and retains the graph."""
    x = work.x.clone().requires_grad_(True)
    for _ in range(work.steps):
        slope = torch.autograd.grad(work.network(x).sum(), [x], retain_graph=True)[0]
        noise = torch.randn(x.shape, device=x.device, generator=work.generator)
        x.data += work.step_size / 2 * slope + work.noise * noise
    return x.detach()


def torchebm(work: Work) -> Tensor:
    """The Langevin sampler of torchebm: its noise is sqrt(2 eta) times noise_scale."""
    from torchebm.core import BaseModel  # type: ignore[import-not-found]
    from torchebm.samplers import LangevinDynamics  # type: ignore[import-not-found]

    class Energy(BaseModel):  # type: ignore[misc, valid-type]
        def __init__(self, f: nn.Module) -> None:
            super().__init__()
            self.f = f

        def forward(self, x: Tensor) -> Tensor:
            return -self.f(x)

    sampler = LangevinDynamics(
        Energy(work.network).to(work.x.device),
        step_size=work.step_size / 2,
        noise_scale=work.noise / work.step_size**0.5,
        device=work.x.device,
    )
    return sampler.sample(x=work.x, n_steps=work.steps, generator=work.generator)


def ebmkit(work: Work) -> Tensor:
    """The Langevin sampler of ebmkit; only in a process where `ebm` is ebmkit."""
    from ebm.samplers.langevin import LangevinDynamics  # type: ignore[attr-defined]

    class Energy(nn.Module):
        def __init__(self, f: nn.Module) -> None:
            super().__init__()
            self.f = f

        def forward(self, x: Tensor) -> Tensor:
            return -self.f(x)

    sampler = LangevinDynamics(
        step_size=work.step_size / 2, steps=work.steps, noise_scale=work.noise
    )
    return sampler.sample(Energy(work.network), work.x)


OURS, SEEDED, BARE = "ours", "ours, a seed a chain", "bare"
GRAPHED = "ours, as a CUDA graph"
LOOPS: dict[str, Contender] = {
    "loop: backward, parameters not frozen": backward,
    "loop: grad, graph retained": retain,
}
HERE: dict[str, Contender] = {BARE: bare, OURS: ours, SEEDED: seeded, **LOOPS}


def seconds(contender: Contender, work: Work) -> float:
    """Return how long a contender takes."""
    wait(work)
    begun = time.perf_counter()
    contender(work)
    wait(work)
    return time.perf_counter() - begun


def wait(work: Work) -> None:
    """Wait until the device has done what it was told."""
    if work.x.is_cuda:
        torch.cuda.synchronize()
