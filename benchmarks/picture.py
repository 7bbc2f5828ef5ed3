"""The picture of results/benchmarks/sampling.json."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from benchmarks.compare import ELSEWHERE
from benchmarks.workloads import ROWS


def draw(found: dict[str, Any], path: Path) -> None:
    """Draw the costs by network above, and how ours grows below."""
    figure = plt.figure(figsize=(13, 9), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[3, 2])  # type: ignore[misc]
    costs(above.subplots(), found["rows"])
    where = f"{found['device_name']}, {found['threads']} threads, torch {found['torch']}"
    above.suptitle(f"Time of a Langevin step over that of f and its gradient alone ({where})")
    for axis, row in zip(
        np.atleast_1d(below.subplots(1, len(found["growth"]))), found["growth"], strict=True
    ):
        growth(axis, row)
    below.suptitle("How the time of our chains grows; dashed: in proportion")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def costs(axis: Axes, rows: list[dict[str, Any]]) -> None:
    """Draw a group of bars a network: a colour a contender, hatched in channels last."""
    rows = [row for row in rows if row["contender"] != ELSEWHERE]
    networks = list(dict.fromkeys(row["network"] for row in rows))
    kinds = list(dict.fromkeys((row["contender"], row["layout"]) for row in rows))
    names = list(dict.fromkeys(row["contender"] for row in rows))
    width, colours = 0.85 / len(kinds), plt.get_cmap("tab10")
    for place, (name, layout) in enumerate(kinds):
        bars = [row for row in rows if (row["contender"], row["layout"]) == (name, layout)]
        at = [networks.index(row["network"]) + (place + 0.5) * width - 0.425 for row in bars]
        heights = [row["ratio"] for row in bars]
        low, high = sides(bars)
        errors = np.maximum(0, [np.subtract(heights, low), np.subtract(high, heights)])
        hatch = "" if layout == ROWS else "////"
        label = name if layout == ROWS else f"{name}, {layout}"
        shade = colours(names.index(name))
        axis.bar(at, heights, width, label=label, color=shade, hatch=hatch, edgecolor="white")
        axis.errorbar(at, heights, errors, fmt="none", ecolor="0.3", elinewidth=0.8)
    axis.set_xticks(range(len(networks)), networks)
    axis.axhline(1, color="black", linewidth=0.8)
    axis.set_ylabel("1: f and its gradient, memory in rows")
    axis.legend(fontsize=7, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.08))


def sides(bars: list[dict[str, Any]]) -> list[list[float]]:
    """Return the quartiles of the ratios, lower and upper."""
    scale = [row["ratio"] / row["ms_a_step"] for row in bars]
    pairs = list(zip(bars, scale, strict=True))
    return [[row["quartiles"][side] * s for row, s in pairs] for side in (0, 1)]


def growth(axis: Axes, row: dict[str, Any]) -> None:
    """Draw the milliseconds of a run over what grows."""
    values, ms = row["values"], row["ms"]
    axis.loglog(values, ms, "o-")
    axis.loglog(values, [ms[-1] * v / values[-1] for v in values], "--", color="0.6")
    axis.set_xlabel(f"{row['grows']}: exponent {row['exponent']:.2f}")
    axis.set_ylabel("ms")
    axis.minorticks_off()
    axis.set_xticks(values, [str(value) for value in values])
