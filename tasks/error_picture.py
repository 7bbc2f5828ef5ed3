"""The picture of errors by number of labels, a line a classifier."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

# Apart in hue, lightness and mark, so that they stay apart in grey and for every kind of eye.
LOOKS = (
    ("#0072b2", "o", "-"),
    ("#999999", "s", "--"),
    ("#555555", "D", ":"),
    ("#009e73", "v", "--"),
    ("#d55e00", "^", "-"),
    ("#cc79a7", "x", "--"),
)


def draw_errors(
    labels: Sequence[int], errors: Mapping[str, Sequence[np.ndarray]], path: Path
) -> None:
    """Picture errors by number of labels; the same errors give the same bytes.

    Args:
        labels: the numbers of labels.
        errors: by classifier, at each number of labels, the errors of the draws in percent.
        path: the PNG file.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        figure = Figure(figsize=(7, 4.6), layout="constrained")
        axes = figure.add_subplot()
        apart = np.linspace(-1, 1, len(errors)) if len(errors) > 1 else np.zeros(1)
        for place, (kind, line) in enumerate(errors.items()):
            colour, mark, dashes = LOOKS[place % len(LOOKS)]
            draws = np.stack(line)
            x = np.array(labels) * 1.05 ** apart[place]  # so that the bars can be read
            axes.errorbar(
                x,
                draws.mean(1),
                draws.std(1, ddof=1),
                color=colour,
                marker=mark,
                linestyle=dashes,
                markersize=5,
                capsize=3,
                label=kind,
            )
        axes.set(xscale="log", xlabel="labels", ylabel="test error, percent", ylim=(0, None))
        axes.set_xticks(labels, [str(count) for count in labels])
        axes.minorticks_off()
        axes.set_title("Learning from few labels: mean and deviation over draws", size=10)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
        figure.savefig(path, dpi=120, metadata={"Software": None})
