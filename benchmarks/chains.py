"""What a Langevin step costs beside the bare one: python -m benchmarks.chains.

Every variant runs the same chains of the default experiment's 8x8 grid. The variants take turns,
and medians over the turns are compared, so that a busy machine troubles all alike. Ratios are to
`bare`: a loop of nothing but f, its gradient and the update.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ebm.energy import frozen
from ebm.networks.convnet import ConvNet
from ebm.samplers.langevin import langevin
from ebm.samplers.noise import seed_range
from tasks.artefacts import write_json
from tasks.device import describe
from tasks.paths import Paths

STEP, NOISE = 4.0, 0.02


class FullSize(nn.Module):
    """The network with a first layer at full size, as wide at each size as ConvNet(8, 1, 2 w)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1), nn.SiLU(), ConvNet(8, width, 2 * width)
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x), (N,)."""
        return self.net(x)


def bare(network: nn.Module, x: Tensor, steps: int) -> None:
    """Run the plainest loop there is, the parameters frozen."""
    with frozen(network):
        for _ in range(steps):
            x = x.detach().requires_grad_(True)
            x = x + STEP / 2 * torch.autograd.grad(network(x).sum(), x)[0]


def ours(network: nn.Module, x: Tensor, steps: int, seeded: bool = False) -> None:
    """Run the sampler of every system."""
    seeds = seed_range(0, len(x)) if seeded else None
    with frozen(network):
        langevin(network, x, steps=steps, step_size=STEP, noise=NOISE, seeds=seeds)


def variants(chains: int, steps: int, width: int) -> dict[str, Callable[[], None]]:
    """Return what is timed, by name."""
    x = torch.rand(chains, 1, 8, 8) * 2 - 1
    network, rows = ConvNet(8, 1, width), ConvNet(8, 1, width)
    rows.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    full = FullSize(width // 2)
    return {
        "bare": lambda: bare(network, x, steps),
        "langevin": lambda: ours(network, x, steps),
        "langevin, a seed a chain": lambda: ours(network, x, steps, seeded=True),
        "langevin, memory row by row": lambda: ours(rows, x, steps),
        "langevin, first layer at full size": lambda: ours(full, x, steps),
    }


def main() -> None:
    """Time the variants in turns, print the ratios and write results/benchmarks/chains.json."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--chains", type=int, default=100, help="chains side by side")
    options.add_argument("--steps", type=int, default=10, help="Langevin steps of a turn")
    options.add_argument("--width", type=int, default=64, help="channels of the first layer")
    options.add_argument("--turns", type=int, default=30, help="turns of each variant")
    options.add_argument("--threads", type=int, default=2, help="threads of torch")
    asked = options.parse_args()
    torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    timed = variants(asked.chains, asked.steps, asked.width)
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for turn in range(asked.turns + 2):
        for name, run in timed.items():
            begun = time.perf_counter()
            run()
            if turn >= 2:  # the first two warm up
                seconds[name].append(time.perf_counter() - begun)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    rows = [
        {"variant": n, "ms_a_step": 1000 * m / asked.steps, "ratio": m / median["bare"]}
        for n, m in median.items()
    ]
    for row in rows:
        print(f"{row['variant']:36} {row['ms_a_step']:7.2f} ms a step  {row['ratio']:.2f}")
    path = Paths().results("benchmarks") / "chains.json"
    write_json(path, {"settings": vars(asked), **describe("cpu"), "rows": rows})


if __name__ == "__main__":
    main()
