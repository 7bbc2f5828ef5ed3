"""What a Langevin step costs, ours beside others, in one run: python -m benchmarks.sampling.

The contenders run the same chains of the same network with the same weights, and take turns, so
that a busy machine troubles all alike; medians over the turns are compared. A ratio is to `bare`:
f and its gradient in x, nothing else, with memory row by row, as torch lays it out. Our networks
ask for channels last where they convolve; every contender is timed with that layout too.
Before anything is timed, every contender's end states are compared with ours, without noise.

Beside the samplers: an iteration of learning beyond its chain and gradient, the most memory of a
chain, and how the cost grows. A peer that is not installed is left out and named, with the command
that installs it. docs/speed.md says how to read what comes out.
"""

import argparse
import shlex
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from benchmarks import growth, memory, training
from benchmarks.compare import check, entries, in_turns, speeds
from benchmarks.peers import FOLDER, PINNED, Ebmkit, pip_line, reach, version
from benchmarks.workloads import ALL, Workload, quick
from tasks import lineage
from tasks.artefacts import write_json
from tasks.device import describe
from tasks.paths import Paths

CONVOLUTION, LATENT, LOOP, OVERHEAD, MEMORY = 1.3, 1.7, 1.0, 0.05, 1.2  # the goals, on a CPU


def goals(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each goal with its value and whether it is met; None where nothing was measured."""
    listed: list[tuple[str, float | None, float, bool]] = []
    for row in found["speeds"]:
        name = row["network"]
        least = LATENT if name == "latent MLP" else CONVOLUTION
        if name not in ("voxel net", "point net"):
            listed.append((f"{name}: speed over torchebm", row["torchebm"], least, True))
        for loop in ("best_loop", "best_loop_same_layout"):
            listed.append((f"{name}: speed over {loop}", row[loop], LOOP, True))
    listed.append(("training, beyond chain", found["training"]["overhead"], OVERHEAD, False))
    for row in found["memory"]:
        listed.append((f"{row['network']}: memory", row["chain_to_backward"], MEMORY, False))
    return [
        {
            "goal": name,
            "value": value,
            "at_least" if up else "at_most": limit,
            "met": None if value is None else (value >= limit) == up or value == limit,
        }
        for name, value, limit, up in listed
    ]


def parser() -> argparse.ArgumentParser:
    """Return the reader of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.sampling",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="peers:\n" + "\n".join(f"  {pip_line(name)}" for name in PINNED),
    )
    made.add_argument(
        "--quick",
        action="store_true",
        help="a minute's run: small, few turns; written to .work/benchmarks, not to results",
    )
    made.add_argument("--turns", type=int, help="turns of each contender (11; quick: 3)")
    made.add_argument("--threads", type=int, default=2, help="threads of torch (2)")
    made.add_argument("--device", choices=["cpu", "gpu"], default="cpu", help="where (cpu)")
    made.add_argument(
        "--peers",
        type=Path,
        default=FOLDER,
        metavar="FOLDER",
        help=f"holds a folder each of {' and '.join(PINNED)} ({FOLDER})",
    )
    made.add_argument(
        "--only",
        metavar="WORD",
        default="",
        help="networks whose name holds this; written to .work/benchmarks too",
    )
    return made


def samplers(
    loads: list[Workload], turns: int, device: str, threads: int, folder: Path
) -> dict[str, Any]:
    """Return the samplers' rows, speeds, the largest difference and the peers' versions."""
    peers = {name: version(name, folder) for name in PINNED}
    for name in [name for name, found in peers.items() if found is None]:
        print(f"{name}: not installed; {pip_line(name, folder)}")
    reach("torchebm", folder)
    with ExitStack() as stack:
        kit = stack.enter_context(Ebmkit(folder, device, threads)) if peers["ebmkit"] else None
        listed = [entry for load in loads for entry in entries(load, device, folder, kit)]
        differs = check(listed, device)
        rows = in_turns(listed, turns)
    return {
        "peers": {n: v or f"not installed: {pip_line(n)}" for n, v in peers.items()},
        "largest_difference": differs,
        "rows": rows,
        "speeds": [speeds(load, rows) for load in loads],
    }


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Return all that the command measures."""
    device = "cuda" if asked.device == "gpu" else "cpu"
    loads = [load for load in ALL if asked.only in load.name]
    loads = [quick(load) for load in loads] if asked.quick else loads
    turns = asked.turns or (3 if asked.quick else 11)
    found = samplers(loads, turns, device, asked.threads, asked.peers)
    print("training", flush=True)
    found["training"] = training.measure(turns, device)
    print("memory", flush=True)
    found["memory"] = memory.measure(loads, device, asked.threads)
    print("growth", flush=True)
    found["growth"] = growth.measure(growth.SHORT if asked.quick else growth.GROWN, turns, device)
    found["goals"] = goals(found)
    networks = [
        {
            "network": w.name,
            "layers": w.about,
            "item": w.shape,
            "chains": w.chains,
            "steps": w.steps,
        }
        for w in loads
    ]
    return {
        "command": shlex.join(["python", "-m", "benchmarks.sampling", *sys.argv[1:]]),
        "commit": lineage.commit(Path()),
        "dirty": lineage.dirty(Path()),
        **describe(asked.device),
        "turns": turns,
        "networks": networks,
        **found,
    }


def tell(found: dict[str, Any]) -> None:
    """Print the costs and the goals."""
    for row in found["rows"]:
        low, high = row["quartiles"]
        print(
            f"{row['network']:18} {row['contender']:38} {row['layout']:14} "
            f"{row['ms_a_step']:8.3f} ms ({low:.3f} to {high:.3f})  {row['ratio']:.2f}"
        )
    for row in found["growth"]:
        print(f"grows with {row['grows']}: exponent {row['exponent']:.2f}")
    for row in found["goals"]:
        value = "not measured" if row["value"] is None else f"{row['value']:.2f}"
        limit = row.get("at_least", row.get("at_most"))
        word = "at least" if "at_least" in row else "at most"
        mark = {True: "met", False: "MISSED", None: ""}[row["met"]]
        print(f"{row['goal']:50} {value}, {word} {limit} {mark}")


def main() -> None:
    """Measure, print, and write the figures and their picture."""
    asked = parser().parse_args()
    torch.set_num_threads(asked.threads)
    found = measure(asked)
    tell(found)
    part = asked.quick or asked.only
    folder = Paths().work / "benchmarks" if part else Paths().results("benchmarks")
    write_json(folder / "sampling.json", found)
    from benchmarks.picture import draw  # matplotlib is not needed to measure

    draw(found, folder / "sampling.png")
    print(f"{folder / 'sampling.json'} and sampling.png are written")


if __name__ == "__main__":
    main()
