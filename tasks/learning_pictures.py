"""Pictures of what learning does in the plane: modes sought and shifted; both directions of KL."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ebm.learn.replay import Seen
from tasks.point_pictures import held, panels, reach

DEPTH = 8.0  # nats below the highest log density at which its colours end
DATA, SAMPLES, WAYS = "#000000", "#00c853", "#56b4e9"
WITHIN = 0.9  # share of the cells shown whose changes the colours tell apart
SMALL = 150  # points drawn of each kind


def draw_replay(seen: Sequence[Seen], side: int, half: float, chains: int, path: Path) -> None:
    """Picture updates, one a column: the chains on f + log q, and what is added to f.

    Args:
        seen: by `replay`, looked at on a grid of side x side cells.
        side: cells along a side.
        half: half a side of the grid's box.
        chains: as many ways are drawn.
    """
    shown = min(half, reach(np.concatenate([s.data for s in seen])) + 0.25)
    above = [f"update {s.update}: {s.climbed:+.2f} on the way" for s in seen]
    below = [f"data {s.on_data:+.2f}, samples {s.on_samples:+.2f}" for s in seen]
    with panels(path, above + below, shown, rows=2) as axes:
        for one, upper, lower in zip(seen, axes, axes[len(seen) :], strict=False):
            draw_ways(upper, one, side, half, chains)
            draw_change(lower, one, side, half)
        axes[len(seen)].legend(loc="lower left", fontsize=7, markerscale=2, framealpha=0.9)


def draw_ways(axes: Any, one: Seen, side: int, half: float, chains: int) -> None:
    """Draw f + log q before an update, and the ways of some chains."""
    log_p = on_grid(one.before, side)
    look = {"extent": (-half, half, -half, half), "origin": "lower", "cmap": "magma"}
    axes.imshow(log_p, vmax=log_p.max(), vmin=log_p.max() - DEPTH, **look)
    ways = one.path[:, :chains].numpy()
    axes.plot(ways[..., 0], ways[..., 1], color=WAYS, linewidth=0.7, alpha=0.8)
    axes.scatter(*ways[0].T, s=14, facecolors="none", edgecolors="white", linewidths=0.8)
    axes.scatter(*ways[-1].T, s=14, color="white", linewidths=0)


def draw_change(axes: Any, one: Seen, side: int, half: float) -> None:
    """Draw what is added to f, with some data and some of the chains' ends.

    It is left out where exp(f) q is less than exp(-DEPTH) of its highest.
    """
    log_p, rise = on_grid(one.before, side), on_grid(one.rise, side)
    seen = log_p > log_p.max() - DEPTH
    inside = np.abs(on_axis(side, half)) < axes.get_xlim()[1]
    change = np.where(seen, rise, np.nan)
    most = float(np.nanquantile(np.abs(change[np.ix_(inside, inside)]), WITHIN))
    axes.set_facecolor("#dddddd")
    look = {"extent": (-half, half, -half, half), "origin": "lower", "cmap": "RdBu_r"}
    shown = axes.imshow(change, vmin=-most, vmax=most, **look)
    axes.scatter(*one.data[:SMALL].T.numpy(), s=4, color=DATA, linewidths=0, label="data")
    ends = one.path[-1, :SMALL].T.numpy()
    axes.scatter(*ends, s=4, color=SAMPLES, linewidths=0, label="samples")
    bar = axes.figure.colorbar(shown, ax=axes, shrink=0.8, location="bottom", extend="both")
    bar.ax.tick_params(labelsize=7)


def on_axis(side: int, half: float) -> np.ndarray:
    """Return the middles of the cells of a side."""
    return (2 * (np.arange(side) + 0.5) / side - 1) * half


def on_grid(values: Tensor, side: int) -> np.ndarray:
    """Return values on a grid, (side^2,), as a picture whose rows are y."""
    return values.reshape(side, side).numpy()


def draw_both_kls(
    log_data: Tensor, fitted: Mapping[str, Tensor], side: int, half: float, path: Path
) -> None:
    """Picture Gaussians over the density that they are fitted to, one a panel.

    Args:
        log_data: (side^2,), normalised.
        fitted: by title, a Gaussian's log density on the same grid.
        side: cells along a side.
        half: half a side of the grid's box.
    """
    density, at = np.exp(on_grid(log_data, side)), on_axis(side, half)
    shown = held(density > 1e-3 * density.max(), half)
    with panels(path, list(fitted), shown) as axes:
        for place, log_q in zip(axes, fitted.values(), strict=True):
            look = {"extent": (-half, half, -half, half), "origin": "lower", "cmap": "Greys"}
            place.imshow(density, **look)
            q = on_grid(log_q, side)
            levels = q.max() - np.array([2.0, 1.0, 0.5]) ** 2 / 2  # at 2, 1 and half a deviation
            place.contour(at, at, q, levels=levels, colors="#d55e00", linestyles="solid")
