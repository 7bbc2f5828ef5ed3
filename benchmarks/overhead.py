"""What Prefect, DVC and MLflow cost beside the work itself, on an experiment of five minutes.

    python -m benchmarks.overhead [--seconds 300] [--turns 2]
    python -m benchmarks.overhead --ends [--turns 5]

The same stages in the same sandbox, by turns: their bare commands, `python -m tasks ...`, one after
the other, and `ebm run`, with its server, its tracking and its report. A short trial finds the
number of iterations. A machine that is a few per cent faster in one turn than in another hides what
the tools take; `--ends` tells it of runs with hardly any training. Writes
results/benchmarks/overhead.json; each way leaves what the other found.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from benchmarks.reliability import NAME, template
from benchmarks.sandbox import ROOT, Sandbox
from flows.environment import prepare_environment
from tasks.artefacts import write_json
from tasks.device import describe
from tasks.lineage import commit

GOAL = 0.05  # of the bare seconds
TRIALS = (100, 4000)  # iterations of two short runs, which tell what one costs
TURNS, SHORT_TURNS = 2, 5


def commands(box: Sandbox) -> list[str]:
    """Return the bare commands of all stages, each after those it stands on."""
    from flows.graph import all_stages, open_repo
    from tasks.paths import Paths

    with open_repo(Paths(box.root)) as repo:
        return [stage.cmd for stage in all_stages(repo).values()]


def bare(box: Sandbox, lines: list[str]) -> float:
    """Run the commands without the tools; return the seconds."""
    box.forget()
    begun = time.monotonic()
    for line in lines:
        subprocess.run(
            line.split(), cwd=box.root, env=box.environment(), check=True, capture_output=True
        )
    return time.monotonic() - begun


def whole(box: Sandbox) -> float:
    """Run `ebm run`; return the seconds."""
    box.forget()
    said = box.run()
    if said.code:
        raise RuntimeError(f"it ended with {said.code}: {said.text[-1000:]}")
    return said.seconds


def lengthen(box: Sandbox, updates: int) -> None:
    """Give the training so many iterations."""
    params = yaml.safe_load((box.root / "params.yaml").read_text())
    fit = params["experiments"][NAME]["train"]["learn"]["fit"]
    fit.update(updates=updates, check_every=50, checkpoint_every=500)
    box.write("params.yaml", params)


def measure(box: Sandbox, seconds: float, turns: int = TURNS) -> dict[str, Any]:
    """Return what the tools add to an experiment of so many seconds."""
    lines = commands(box)
    took = []
    for updates in TRIALS:
        lengthen(box, updates)
        took.append(bare(box, lines))
    each = (took[1] - took[0]) / (TRIALS[1] - TRIALS[0])
    updates = max(TRIALS[0], round(TRIALS[0] + (seconds - took[0]) / each))
    found = compare(box, updates, turns)
    return {**found, "overhead": round(found["added_seconds"] / found["bare_median"], 4)}


def compare(box: Sandbox, updates: int, count: int) -> dict[str, Any]:
    """Return the seconds of some turns with so many iterations."""
    lines = commands(box)
    lengthen(box, updates)
    turns = [(bare(box, lines), whole(box)) for _ in range(count)]
    return {
        "iterations": updates,
        "stages": len(lines),
        "bare_seconds": [round(a, 1) for a, _ in turns],
        "ebm_run_seconds": [round(b, 1) for _, b in turns],
        "bare_median": round(statistics.median(a for a, _ in turns), 1),
        "added_seconds": round(statistics.median(b - a for a, b in turns), 1),
    }


def ends(box: Sandbox, seconds: float, turns: int = SHORT_TURNS) -> dict[str, Any]:
    """Return what the tools take at the beginning, between stages and at the end."""
    found = compare(box, TRIALS[0], turns)
    return {**found, "overhead": round(found["added_seconds"] / seconds, 4)}


def record(target: Path, way: str, found: dict[str, Any]) -> None:
    """Write what one way found; the other's stays."""
    before = json.loads(target.read_text()) if target.exists() else {}
    ways = {"whole": before.get("whole"), "ends": before.get("ends"), way: found}
    content = {
        "command": "python -m benchmarks.overhead",
        "experiment": NAME,
        "goal": GOAL,
        **{name: each for name, each in ways.items() if each},
    }
    write_json(target, content)


def main() -> int:
    """Measure, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0, help="of the bare experiment")
    parser.add_argument("--ends", action="store_true", help="with hardly any training")
    parser.add_argument("--turns", type=int, help=f"of both ({TURNS}; ends: {SHORT_TURNS})")
    asked = parser.parse_args()
    turns = asked.turns or (SHORT_TURNS if asked.ends else TURNS)
    prepare_environment(ROOT)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        box, _, _ = template(Path(folder))
        found = (ends if asked.ends else measure)(box, asked.seconds, turns)
    about = {
        "commit": commit(ROOT),
        **describe("cpu"),
        "cores": os.cpu_count(),
        "load_before": round(load, 1),
        "of_seconds": asked.seconds,
    }
    target = ROOT / "results" / "benchmarks" / "overhead.json"
    record(target, "ends" if asked.ends else "whole", {**about, **found})
    print(target.read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
