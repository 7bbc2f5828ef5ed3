"""A picture of curves, a line a name. It has no REVISION of its own: it computes nothing."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tasks.error_picture import LOOKS


def draw_lines(
    lines: Mapping[str, np.ndarray],
    path: Path,
    words: tuple[str, str, str],
    at: np.ndarray | None = None,
    *,
    logarithmic: bool = True,
) -> None:
    """Picture curves; the same curves give the same bytes.

    Args:
        lines: by name, values (T,).
        path: the PNG file.
        words: what x and y are, and the title.
        at: (T,), where the values stand; None counts from 0.
        logarithmic: whether the axis of `at` is.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        figure = Figure(figsize=(7, 4.2), layout="constrained")
        axes = figure.add_subplot()
        for place, (name, values) in enumerate(lines.items()):
            colour, _, dashes = LOOKS[place % len(LOOKS)]
            x = np.arange(len(values)) if at is None else at
            axes.plot(x, values, color=colour, linestyle=dashes, label=name)
        axes.set(xlabel=words[0], ylabel=words[1])
        if at is not None and logarithmic:
            axes.set_xscale("log")
        axes.set_title(words[2], size=10)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
        figure.savefig(path, dpi=120, metadata={"Software": None})
