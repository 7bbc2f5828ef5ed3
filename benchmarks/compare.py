"""Contenders side by side: who runs, do all go the same way, and what a step costs each."""

import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from benchmarks.contenders import (
    BARE,
    GRAPHED,
    HERE,
    LOOPS,
    OURS,
    SEEDED,
    Contender,
    graphed,
    ours,
    seconds,
    torchebm,
)
from benchmarks.peers import PINNED, Ebmkit, version
from benchmarks.workloads import ROWS, Work, Workload, work
from ebm.samplers.langevin import grad

ELSEWHERE = "bare, process of ebmkit"
STILL = 1e-9  # noise that moves nothing, for the check: torchebm refuses 0
WAY, CLOSE = 0.3, 0.01  # how far the check's chains go, and by what share of it ends may differ


class Entry(NamedTuple):
    """One contender on one network in one layout.

    Attributes:
        time: runs it once, and returns the seconds.
        end: takes a step size, and returns the end states without noise; None for `bare`.
    """

    load: Workload
    contender: str
    layout: str
    time: Callable[[], float]
    end: Callable[[float], Tensor] | None


def entries(load: Workload, device: str, peers: Path, kit: Ebmkit | None) -> list[Entry]:
    """Return every contender that is installed, in every layout."""
    contenders = {**HERE, GRAPHED: graphed} if device == "cuda" else dict(HERE)
    if version("torchebm", peers):
        contenders["torchebm"] = torchebm
    found: list[Entry] = []
    for layout in load.layouts:
        task = work(load, layout, device)
        for name, contender in contenders.items():
            end = None if name == BARE else partial(still, contender, task)
            found.append(Entry(load, name, layout, partial(seconds, contender, task), end))
        if kit:
            found += [elsewhere(kit, load, layout, name) for name in ("ebmkit", BARE)]
    return found


def elsewhere(kit: Ebmkit, load: Workload, layout: str, name: str) -> Entry:
    """Return what runs in the process of ebmkit: its sampler, and the bare cost there."""
    which = (load.name, load.chains, load.steps, layout)
    if name == BARE:
        return Entry(load, ELSEWHERE, layout, lambda: kit.seconds(name, *which), None)
    end = partial(kit.end, *which, STILL)
    return Entry(load, name, layout, lambda: kit.seconds(name, *which), end)


def still(contender: Contender, task: Work, step_size: float) -> Tensor:
    """Return the end states of a contender without noise."""
    return contender(task._replace(noise=STILL, step_size=step_size))


def check(listed: list[Entry], device: str) -> float:
    """See that all go the same way, and return the largest difference, as a share of the way.

    Raises:
        ValueError: a contender ends elsewhere than ours.
    """
    worst = 0.0
    for load in {entry.load.name: entry.load for entry in listed}.values():
        task = work(load, load.layouts[-1], device)
        step_size = 2 * WAY / load.steps / float(grad(task.network, task.x).abs().max())
        target = still(ours, task, step_size)
        way = (target - task.x).norm()
        for entry in [e for e in listed if e.load is load and e.end]:
            assert entry.end
            off = float((entry.end(step_size).to(target) - target).norm() / way)
            if not off <= CLOSE:
                raise ValueError(f"{entry.contender} on {load.name} goes another way: off by {off}")
            worst = max(worst, off)
    return worst


def in_turns(listed: list[Entry], turns: int) -> list[dict[str, Any]]:
    """Return a row an entry: milliseconds a step, their quartiles, and the ratio to bare."""
    spent: list[list[float]] = [[] for _ in listed]
    for turn in range(turns + 1):
        for entry, values in zip(listed, spent, strict=True):
            took = entry.time()
            if turn:  # the first warms up
                values.append(1000 * took / entry.load.steps)
        print(f"turn {turn} of {turns}", flush=True)
    middle = [statistics.median(values) for values in spent]
    base = {
        entry.load.name: ms
        for entry, ms in zip(listed, middle, strict=True)
        if (entry.contender, entry.layout) == (BARE, ROWS)
    }
    return [
        {
            "network": entry.load.name,
            "contender": entry.contender,
            "layout": entry.layout,
            "ms_a_step": ms,
            "quartiles": statistics.quantiles(values, n=4)[::2] if len(values) > 1 else [ms, ms],
            "least": min(values),
            "ratio": ms / base[entry.load.name],
        }
        for entry, ms, values in zip(listed, middle, spent, strict=True)
    ]


def speeds(load: Workload, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how many times as fast as others our chains are on one network.

    Ours run in our layout. The others run as torch lays memory out; `same_layout` gives them ours.
    """
    ms = {(r["contender"], r["layout"]): r["ms_a_step"] for r in rows if r["network"] == load.name}
    own = load.layouts[-1]
    ours_ms = ms[OURS, own]
    found: dict[str, Any] = {"network": load.name, "cost_over_bare": ours_ms / ms[BARE, own]}
    for name in PINNED:
        found[name] = ms[name, ROWS] / ours_ms if (name, ROWS) in ms else None
        found[f"{name}_same_layout"] = ms[name, own] / ours_ms if (name, own) in ms else None
    found["best_loop"] = min(ms[name, ROWS] for name in LOOPS) / ours_ms
    found["best_loop_same_layout"] = min(ms[name, own] for name in LOOPS) / ours_ms
    found["seeded_over_one_generator"] = ms[SEEDED, own] / ours_ms
    return found
