"""The report's curves: each training stage's figures, thinned, in panels by figure."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

POINTS = 240  # of a curve on the page, about as many as it is wide in pixels

PANELS = (
    (
        "Energy gap",
        ("gap",),
        "The seed's value function V = mean f(data) - mean f(samples): learning pushes it up, "
        "sampling down. It should swing about 0; one that runs away means that sampling no longer "
        "follows learning. It is no score.",
    ),
    (
        "Gradient strength",
        ("strength",),
        "Mean length of the gradient of f along the chains: it should settle; a climb without end "
        "comes before divergence.",
    ),
    (
        "Movement of the chains",
        ("movement",),
        "How far a value of x, such as a pixel, moves from its chain's start to the end: steady, "
        "and well above the noise; near 0 the chains stand still.",
    ),
    (
        "Variation",
        ("sd_samples", "sd_data"),
        "Standard deviation of a value of x over samples (solid) and over data (dashed): they "
        "should meet; far below is collapse, far above saturation.",
    ),
)
USED = {figure for _, figures, _ in PANELS for figure in figures} | {"f_data", "f_samples"}


def read_curves(path: Path) -> dict[str, list[float]]:
    """Return the columns of a curves.csv.

    Raises:
        ValueError: it is no text of UTF-8 or no table; it holds what is not a number, lines of
            different lengths, or no steps that are finite and from 1 on.
        OSError: it cannot be read.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            names, *lines = list(csv.reader(file)) or [[]]
        columns = [list(column) for column in zip(*(map(float, s) for s in lines), strict=True)]
        curves = dict(zip(names, columns, strict=True))
    except (ValueError, csv.Error):
        curves = {}
    if not all(math.isfinite(step) and step >= 1 for step in curves.get("step", [0.0])):
        raise ValueError(f"{path} is no table of curves; run its training stage again")
    return curves


def panels(curves: Mapping[str, Sequence[float]], grids: list[str] | None = None) -> dict[str, Any]:
    """Return what the page draws of one training stage.

    Args:
        curves: `step`, and GRID/FIGURE or FIGURE, by iteration.
        grids: those that have a colour; new ones are added, so that a grid keeps its own.

    Returns:
        `steps` of the thinned points, `bin` iterations in a point, and `panels`, each with its
        title, how to read it, and its series: grid, place of the grid, dashed or not, values.
    """
    steps = curves.get("step", [])
    size = max(1, math.ceil(len(steps) / POINTS))
    split = {name: name.rpartition("/")[::2] for name in curves if name != "step"}
    grids = [] if grids is None else grids
    grids += dict.fromkeys(grid for grid, _ in split.values() if grid not in grids)
    others = sorted({figure for _, figure in split.values()} - USED)
    drawn = [*PANELS, *((other, (other,), "A figure of this learner's own.") for other in others)]
    shown = [
        {
            "title": title,
            "how": how,
            "series": [
                {
                    "name": " ".join(filter(None, [f"grid {grid}" if grid else "", word(figure)])),
                    "colour": grids.index(grid),
                    "dashed": figure == "sd_data",
                    "values": thin(curves[name], size),
                }
                for figure in figures
                for name, (grid, found) in split.items()
                if found == figure
            ],
        }
        for title, figures, how in drawn
    ]
    # A point stands at the last iteration of its bin.
    ends = [int(steps[min(i + size, len(steps)) - 1]) for i in range(0, len(steps), size)]
    return {"steps": ends, "bin": size, "panels": [p for p in shown if p["series"]]}


def word(figure: str) -> str:
    """Name what a series adds to its grid."""
    return {"sd_samples": "samples", "sd_data": "data"}.get(figure, "")


def thin(values: Sequence[float], size: int) -> list[float | None]:
    """Return means over bins of `size`; None where a bin holds a value that is not finite.

    >>> thin([1.0, 3.0, 5.0], 2)
    [2.0, 5.0]
    """
    bins = (values[i : i + size] for i in range(0, len(values), size))
    means = (sum(part) / len(part) for part in bins)
    return [float(f"{mean:.4g}") if math.isfinite(mean) else None for mean in means]
