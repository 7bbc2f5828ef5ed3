"""How the cost of our chains grows with their number, their steps, the image and the width."""

import math
import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.contenders import ours, seconds
from benchmarks.workloads import OWN, Work, Workload, work
from ebm.networks.convnet import ConvNet

SIZE, WIDTH, CHAINS, STEPS = 32, 16, 32, 8
GROWN = {
    "chains": [8, 16, 32, 64, 128],
    "steps": [2, 4, 8, 16, 32],
    "pixels": [8**2, 16**2, 32**2, 64**2],
    "width": [4, 8, 16, 32, 64],
}
SHORT = {name: values[:3] for name, values in GROWN.items()}


def load(what: str, value: int) -> Workload:
    """Return a small ConvNet with one thing set."""
    size = math.isqrt(value) if what == "pixels" else SIZE
    width = value if what == "width" else WIDTH
    return Workload(
        f"{what} {value}",
        "ConvNet",
        lambda: ConvNet(size, 1, width, 4 * width),
        (1, size, size),
        value if what == "chains" else CHAINS,
        value if what == "steps" else STEPS,
    )


def measure(
    grown: dict[str, list[int]],
    turns: int,
    device: str,
    timed: Callable[[Work], float] = lambda task: seconds(ours, task),
) -> list[dict[str, Any]]:
    """Return, for each thing that grows, the milliseconds of a run and how they grow.

    The exponent is the slope of log time over log value through the largest three: 1 is linear.
    Weights between layers grow as the square of the width, so up to 2 is right there.
    """
    tasks = {(w, v): work(load(w, v), OWN, device) for w, values in grown.items() for v in values}
    spent: dict[tuple[str, int], list[float]] = {key: [] for key in tasks}
    for turn in range(turns + 1):
        for key, task in tasks.items():
            took = timed(task)
            if turn:  # the first warms up
                spent[key].append(took)
    rows = []
    for what, values in grown.items():
        ms = [1000 * statistics.median(spent[what, value]) for value in values]
        rows.append({"grows": what, "values": values, "ms": ms, "exponent": slope(values, ms)})
    return rows


def slope(values: list[int], ms: list[float]) -> float:
    """Return the slope of log ms over log value through the largest three."""
    x, y = ([math.log(v) for v in column[-3:]] for column in (values, ms))
    return statistics.linear_regression(x, y).slope
