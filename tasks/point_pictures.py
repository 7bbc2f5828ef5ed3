"""Pictures of points in the plane and of densities; the same numbers give the same bytes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

INK = "#0072b2"
SIDE = 3.2  # inches of a panel; 100 dots an inch
FAINT = 1e-3  # share of the highest density below which log densities are not compared
REACH = 2.0  # nats at the ends of the colours of a difference


@contextmanager
def panels(path: Path, titles: Sequence[str], half: float, rows: int = 1) -> Iterator[list[Any]]:
    """Yield a square panel a title, over [-half, half]^2, side by side in rows; then write them."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        columns = len(titles) // rows
        figure = Figure(figsize=(SIDE * columns, (SIDE + 0.3) * rows), layout="constrained")
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        for place, title in zip(axes, titles, strict=True):
            place.set_title(title, size=10)
            place.set(xlim=(-half, half), ylim=(-half, half), aspect="equal")
            place.tick_params(labelsize=7)
        yield axes
        figure.savefig(path, dpi=100, metadata={"Software": None})


def dots(axes: Any, points: np.ndarray) -> None:
    """Draw points (N, 2), the smaller the more there are."""
    size = float(np.clip(2000 / max(1, len(points)), 1, 12))
    axes.scatter(points[:, 0], points[:, 1], s=size, color=INK, alpha=0.6, linewidths=0)


def reach(points: np.ndarray) -> float:
    """Return half the side of a box about 0 that holds points (..., 2), to a half."""
    return float(np.ceil(2 * np.abs(points).max()) / 2) if points.size else 1.0


def held(seen: np.ndarray, half: float) -> float:
    """Return half the side of the part of a box about 0 that holds all cells seen, with a margin.

    >>> held(np.pad(np.ones((2, 2), dtype=bool), 4), 5.0)
    1.5
    """
    cells = len(seen)
    far = np.abs(np.argwhere(seen) + 0.5 - cells / 2).max(initial=0) + 1
    return float(min(half, 2 * half * far / cells))


def draw_samples(points: np.ndarray, path: Path) -> None:
    """Picture points (N, 2)."""
    with panels(path, [f"{len(points)} samples"], reach(points)) as (axes,):
        dots(axes, points)


def draw_chains(states: np.ndarray, keep: int, path: Path, shown: int = 5) -> None:
    """Picture chains (S, N, 2) at some of their states, from the start to the end.

    Args:
        keep: Langevin steps between two states.
    """
    rows = np.unique(np.linspace(0, len(states) - 1, shown).round().astype(int))
    titles = ["the start" if row == 0 else f"after {row * keep} steps" for row in rows]
    with panels(path, titles, reach(states)) as axes:
        for place, row in zip(axes, rows, strict=True):
            dots(place, states[row])


def draw_densities(
    log_data: np.ndarray, log_model: np.ndarray, samples: np.ndarray, half: float, path: Path
) -> None:
    """Picture both densities in the same colours, the samples, and log model - log data.

    The difference is shown where either density is a thousandth of the data's highest or more.

    Args:
        log_data: (C, C), normalised, rows are y and columns x, as quadrature's grid is.
        log_model: the same of the model.
        samples: (N, 2).
        half: half a side of the box.
    """
    top, box = float(np.exp(log_data.max())), (-half, half, -half, half)
    seen = np.maximum(log_data, log_model) > np.log(FAINT * top)
    differs = np.where(seen, log_model - log_data, np.nan)
    titles = ["density of the data", "density of the model", "samples", "log model - log data"]
    with panels(path, titles, held(seen, half)) as axes:
        for place, log_density in zip(axes, (log_data, log_model), strict=False):
            look = {"extent": box, "origin": "lower", "vmin": 0, "vmax": top, "cmap": "magma"}
            place.imshow(np.exp(log_density), **look)
        dots(axes[2], samples)
        look = {"extent": box, "origin": "lower", "vmin": -REACH, "vmax": REACH, "cmap": "RdBu_r"}
        shown = axes[3].imshow(differs, **look)
        axes[3].set_facecolor("#dddddd")
        bar = axes[3].figure.colorbar(shown, ax=axes[3], shrink=0.8, extend="both")
        bar.ax.tick_params(labelsize=7)
        bar.set_label("nats", size=8)
