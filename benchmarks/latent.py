"""What an iteration of latent-space models costs: chains as published, from e(x), and no chains.

    python -m benchmarks.latent

The model is that of `latent-mnist`; the chains as published have K0 = 60 and K1 = 20 steps from
N(0, I). All are measured in turns in one run, on the settings' threads; the data are noise, which
costs the same. Writes results/benchmarks/latent.json.
"""

import statistics
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.training import in_turns
from ebm.learn import learner_class
from tasks.artefacts import write_json
from tasks.device import describe
from tasks.lineage import commit

ROOT = Path(__file__).parents[1]
TURNS, BATCH = 15, 100
PUBLISHED = "chains from N(0, I), K0 = 60, K1 = 20"
ENCODED = "latent-mnist: posterior from e(x)"
AMORTISED = "latent-amortised-mnist: no chains"


def models() -> dict[str, tuple[str, dict[str, Any]]]:
    """Return by name the learner and its settings."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())["experiments"]
    encoded, amortised = (
        (params[name]["learner"], params[name]["train"]["learn"]["model"])
        for name in ("latent-mnist", "latent-amortised-mnist")
    )
    chain = encoded[1]["posterior"]["chain"]
    prior = {**encoded[1]["prior"], "chain": {**encoded[1]["prior"]["chain"], "steps": 60}}
    published = {
        **encoded[1],
        "prior": prior,
        "posterior": {"start": "prior", "chain": {**chain, "steps": 20}},
    }
    return {PUBLISHED: (encoded[0], published), ENCODED: encoded, AMORTISED: amortised}


def once(learner: Any, x: torch.Tensor) -> None:
    """Do one iteration."""
    learner.learn(x)


def measure(turns: int, batch: int) -> dict[str, float]:
    """Return the median seconds of an iteration of each."""
    torch.manual_seed(0)
    timed: dict[str, Callable[[], None]] = {}
    x = torch.rand(batch, 1, 32, 32) * 2 - 1
    for name, (learner, settings) in models().items():
        kind = learner_class(learner)
        made = kind(kind.Settings.model_validate(settings))
        made.prepare(x)
        timed[name] = partial(once, made, x)
    return {name: statistics.median(each) for name, each in in_turns(timed, turns, x).items()}


def main() -> int:
    """Measure, and write the file."""
    torch.set_num_threads(1)
    seconds = measure(TURNS, BATCH)
    found = {
        "command": "python -m benchmarks.latent",
        "commit": commit(ROOT),
        **describe("cpu"),
        "threads": 1,
        "torch": torch.__version__,
        "turns": TURNS,
        "batch": BATCH,
        "ms": {name: round(1000 * value, 2) for name, value in seconds.items()},
        "share": {name: round(v / seconds[PUBLISHED], 3) for name, v in seconds.items()},
    }
    target = ROOT / "results" / "benchmarks" / "latent.json"
    write_json(target, found)
    print(target.read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
