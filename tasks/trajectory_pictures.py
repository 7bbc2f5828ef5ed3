"""Pictures of where people walk and of what was predicted; the same numbers, the same bytes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SEEN, TRUE, GUESSED, OTHERS = "#000000", "#009e73", "#0072b2", "#d55e00"
SIDE = 2.6  # inches of a panel; 100 dots an inch
SCENE = 3000  # positions of the scene that are drawn faintly, at most
MARGIN = 1.15  # of the box about what is drawn


class Fan(NamedTuple):
    """An agent, and predictions of where it goes.

    Attributes:
        past: (S, 2).
        future: (T, 2), the truth; None where nobody knows.
        ways: (K, T, 2).
        others: (M, S, 2), pasts of those beside it.
    """

    past: np.ndarray
    future: np.ndarray | None
    ways: np.ndarray
    others: np.ndarray = np.zeros((0, 1, 2))


def interesting(x: np.ndarray, seen: int, count: int) -> list[int]:
    """Return rows of trajectories (N, S + T, 2): of those who walk, from straight to most turning.

    >>> turn = np.array([[0.0, 0], [1, 0], [1, 1]]), np.array([[0.0, 0], [1, 0], [2, 0]])
    >>> interesting(np.stack([turn[0], turn[1], turn[1][:1].repeat(3, 0)]), 2, 2)
    [1, 0]
    """
    before, after = x[:, seen - 1] - x[:, 0], x[:, -1] - x[:, seen - 1]
    far = np.linalg.norm(before, axis=1) + np.linalg.norm(after, axis=1)
    angle = [np.arctan2(v[:, 1], v[:, 0]) for v in (before, after)]
    turned = np.abs((angle[1] - angle[0] + np.pi) % (2 * np.pi) - np.pi)
    walks = np.flatnonzero(far >= np.quantile(far, 0.3))
    ordered = walks[np.argsort(turned[walks], kind="stable")]
    places = np.linspace(0, len(ordered) - 1, min(count, len(ordered))).round().astype(int)
    return [int(row) for row in ordered[places]]


def draw_fans(
    fans: Sequence[Fan], titles: Sequence[str], scene: np.ndarray, path: Path, columns: int
) -> None:
    """Draw fans, a panel each; a row of panels has one box.

    Args:
        fans: row by row.
        titles: one each.
        scene: (..., 2), positions that show where people walk.
        path: of the picture.
        columns: panels in a row.
    """
    import matplotlib
    from matplotlib.figure import Figure

    ground = scene.reshape(-1, 2)
    ground = ground[:: max(1, len(ground) // SCENE)]
    rows = -(-len(fans) // columns)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        figure = Figure(figsize=(SIDE * columns, (SIDE + 0.25) * rows), layout="constrained")
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        for number, (place, fan, title) in enumerate(zip(axes, fans, titles, strict=False)):
            row = fans[number // columns * columns : (number // columns + 1) * columns]
            draw_fan(place, fan, ground)
            (x, y), half = box(row)
            place.set(xlim=(x - half, x + half), ylim=(y - half, y + half), aspect="equal")
            place.set_title(title, size=9)
            place.tick_params(labelsize=6)
        for place in axes[len(fans) :]:
            place.set_axis_off()
        figure.savefig(path, dpi=100, metadata={"Software": None})


def box(fans: Sequence[Fan]) -> tuple[np.ndarray, float]:
    """Return the centre, (2,), and half the side of a square about all that fans show."""
    parts = [each for fan in fans for each in (fan.past, fan.future, *fan.ways) if each is not None]
    points = np.concatenate(parts)
    low, high = points.min(0), points.max(0)
    return (low + high) / 2, float(MARGIN * max((high - low).max() / 2, 1e-6))


def draw_fan(place: Any, fan: Fan, ground: np.ndarray) -> None:
    """Draw predictions, the past, the truth and those beside, over the scene's positions."""
    place.plot(ground[:, 0], ground[:, 1], ".", color="#dddddd", markersize=2, zorder=0)
    for way in fan.ways:
        line = np.concatenate([fan.past[-1:], way])
        place.plot(line[:, 0], line[:, 1], "-", color=GUESSED, linewidth=0.8, alpha=0.6)
        place.plot(line[-1:, 0], line[-1:, 1], ".", color=GUESSED, markersize=3)
    for other in fan.others:
        place.plot(other[:, 0], other[:, 1], "-", color=OTHERS, linewidth=1)
        place.plot(other[-1:, 0], other[-1:, 1], ".", color=OTHERS, markersize=3)
    place.plot(fan.past[:, 0], fan.past[:, 1], "-", color=SEEN, linewidth=1.8)
    if fan.future is not None:
        line = np.concatenate([fan.past[-1:], fan.future])
        place.plot(line[:, 0], line[:, 1], "-", color=TRUE, linewidth=1.8)
        place.plot(line[-1:, 0], line[-1:, 1], "o", color=TRUE, markersize=3)
