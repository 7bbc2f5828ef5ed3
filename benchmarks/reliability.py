"""What faults from outside cost: kills, full disks, torn files, locks, clocks, servers that end.

    python -m benchmarks.reliability [FAULT...] [--trials N]

Each fault is done to a sandbox (benchmarks/sandbox.py, benchmarks/faults), which must end with
the bits of a run that was left alone. Writes results/reliability.json after each fault; a fault
that is not named keeps the figures it has. Kills come five to a trial, so that 10 trials are 50.
"""

import argparse
import functools
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.faults import FAULTS
from benchmarks.faults.kills import KILLS
from benchmarks.faults.trial import Trial
from benchmarks.sandbox import ROOT, Sandbox
from flows.environment import prepare_environment
from tasks.artefacts import write_json
from tasks.device import describe
from tasks.lineage import commit

NAME = "contrast-2d-rings-shortrun"
EVERY_STAGE = {"disk_full": "multigrid-digits-joint"}  # faults done to each stage that there is
TRIALS = {"kill_flow": 10, "kill_stage": 10, "kill_worker": 10, "disk_full": 1}
FEW = 3  # trials of any other fault


def template(folder: Path, name: str = NAME) -> tuple[Sandbox, dict[str, str], float]:
    """Return a project that has nothing, the checksums of a run left alone, and its seconds.

    A run before it makes the databases of MLflow and Prefect, as in any project in use.
    """
    box = Sandbox(folder / name, [name])
    box.make()
    seconds = []
    for _ in range(2):
        box.forget()
        said = box.run()
        if said.code:
            raise RuntimeError(f"a run left alone ended with {said.code}: {said.text[-1000:]}")
        seconds.append(said.seconds)
    wanted = box.digest()
    box.forget()
    return box, wanted, min(seconds)


def measure(
    name: str, trials: int, box: Sandbox, wanted: dict[str, str], seconds: float
) -> dict[str, Any]:
    """Do a fault some times; return what came of it."""
    dice = random.Random(name)
    wrong, kills, heard = [], [], []
    begun = time.monotonic()
    for number in range(trials):
        own = box.copy(box.root.with_name(f"{name}-{number}"))
        trial = Trial(own, wanted, seconds, dice, [], [])
        try:
            found = FAULTS[name](trial)
        except Exception as error:  # a fault that breaks the trial itself is one to look at, too
            found = f"{type(error).__name__}: {error}"
        finally:
            own.remove()
        wrong += [found] if found else []
        kills += trial.kills
        heard += trial.heard
        print(f"{name} {number + 1} of {trials}: {found or 'same bits'}", flush=True)
    return {
        "fault": (FAULTS[name].__doc__ or "").split("\n")[0],
        "trials": trials,
        "kills": len(kills),
        "kill_moments_seconds": [round(moment, 1) for moment in kills],
        "ended_with_the_same_bits": trials - len(wrong),
        "wrong": wrong,
        "said": sorted(set(heard))[:5],
        "seconds": round(time.monotonic() - begun),
    }


def record(found: dict[str, Any], seconds: float) -> None:
    """Write what was found beside what other faults have."""
    path = ROOT / "results" / "reliability.json"
    before = json.loads(path.read_text())["faults"] if path.exists() else {}
    before = {name: {"experiment": NAME, **each} for name, each in before.items()}
    about = {
        "commit": commit(ROOT),
        **describe("cpu"),
        "cores": os.cpu_count(),
        "undisturbed_seconds": round(seconds, 1),
    }
    faults = {
        **before,
        **{
            name: {"experiment": EVERY_STAGE.get(name, NAME), **about, **each}
            for name, each in found.items()
        },
    }
    content = {
        "command": "python -m benchmarks.reliability",
        "about": "Trials begin with nothing made; after the fault a run must end well, leave no "
        "process, and have written the bits of a run left alone.",
        "kills_a_trial": KILLS,
        "faults": {name: faults[name] for name in FAULTS if name in faults},
    }
    write_json(path, content)


def main() -> int:
    """Do the faults, and write the file; return 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fault", nargs="*", help=f"all if none: {', '.join(FAULTS)}")
    parser.add_argument("--trials", type=int, help="of each fault")
    asked = parser.parse_args()
    if unknown := set(asked.fault) - set(FAULTS):
        parser.error(f"there is no fault {min(unknown)}; there are {', '.join(FAULTS)}")
    prepare_environment(ROOT)
    lost = 0
    with tempfile.TemporaryDirectory() as folder:
        made = functools.cache(lambda name: template(Path(folder), name))
        for name in asked.fault or FAULTS:
            box, wanted, seconds = made(EVERY_STAGE.get(name, NAME))
            trials = asked.trials or TRIALS.get(name, FEW)
            found = measure(name, trials, box, wanted, seconds)
            record({name: found}, seconds)
            lost += len(found["wrong"])
    return int(lost > 0)


if __name__ == "__main__":
    sys.exit(main())
