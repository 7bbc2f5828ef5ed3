"""The most memory that chains take, beside one forward and its gradient; each in a fresh process.

python -m benchmarks.memory WORKLOAD WAY CHAINS STEPS DEVICE prints the bytes above what the network
and the start hold. WAY is `chain` (ours), `gradient` (one forward and its gradient in x) or
`backward` (one forward and backward, to the parameters too).
"""

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks.contenders import backward, bare, ours
from benchmarks.workloads import ALL, Work, Workload, work

WAYS = {"chain": ours, "gradient": bare, "backward": backward}
ROOT = Path(__file__).parents[1]
# Blocks go back to the system when they are freed, so that what is counted is what is in use.
EXACT = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}


def bytes_of(load: Workload, way: str, device: str, threads: int) -> int:
    """Return the bytes that a way takes at its peak, by a process of its own."""
    line = [load.name, way, str(load.chains), str(load.steps), device, str(threads)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", *line],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, **EXACT},
    )
    return int(done.stdout)


def measure(loads: list[Workload], device: str, threads: int) -> list[dict[str, Any]]:
    """Return, for each workload, the peaks and the chain's share of one forward and backward."""
    rows: list[dict[str, Any]] = []
    for load in loads:
        mib = {way: bytes_of(load, way, device, threads) / 2**20 for way in WAYS}
        shares = {f"chain_to_{way}": mib["chain"] / max(mib[way], 1e-9) for way in list(WAYS)[1:]}
        rows.append({"network": load.name, "mib": mib, **shares})
    return rows


def peak(way: str, task: Work) -> int:
    """Return the bytes a way takes beyond what is held before, after a first small run."""
    small = task._replace(x=task.x[:2], steps=1)
    WAYS[way](small)  # what the first use of a kernel keeps is not counted
    task = task if way == "chain" else task._replace(steps=1)
    if task.x.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        WAYS[way](task)
        return torch.cuda.max_memory_allocated() - before
    before = resident(reset=True)
    WAYS[way](task)
    return resident() - before


def resident(reset: bool = False) -> int:
    """Return the most memory that this process has held, in bytes, since the last reset.

    The system's own record is used: `ru_maxrss` of a child counts what its parent held.
    """
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(name: str, way: str, chains: str, steps: str, device: str, threads: str) -> None:
    """Print the bytes."""
    torch.set_num_threads(int(threads))
    load = next(load for load in ALL if load.name == name)
    load = load._replace(chains=int(chains), steps=int(steps))
    print(peak(way, work(load, load.layouts[-1], device)))


if __name__ == "__main__":
    main(*sys.argv[1:])
