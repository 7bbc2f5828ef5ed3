"""classify: learn from few labels on the model's features, and on raw pixels beside them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from ebm.metrics.few_labels import FewLabels, Splits, draw_labels, few_labels, standardise
from ebm.model import Model, load
from tasks.artefacts import load_arrays, new_folder
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.scores import beside, row, write_scores
from tasks.settings import ClassifyInputs

REVISION = 1

BATCH = 500  # images shown to the network at once
OWN, RAW, SCALED = "features of the EBM", "raw pixels", "raw pixels, standardised"
PROTOCOL = (
    "Logistic regression on few labels of the training split, the same stratified draws for every "
    "kind of features; the regularisation is chosen on the validation split; test error in "
    "percent, mean and standard deviation over the draws."
)

Curves = dict[str, list[FewLabels]]


def run(name: str, part: None, inputs: ClassifyInputs, paths: Paths, monitor: Monitor) -> None:
    """Write results/NAME/classify.json and the picture results/NAME/classify/few_labels.png."""
    model = load(paths.model(name, inputs.final))
    data = paths.prepared(inputs.dataset)
    images = [load_arrays(data / f"{s}.npz") for s in ("train", "validation", "test")]
    kinds = {
        OWN: standardise(Splits(*((features(model, s["x"]), s["y"]) for s in images))),
        RAW: Splits(*((flat(s["x"]), s["y"]) for s in images)),
    }
    kinds[SCALED] = standardise(kinds[RAW])
    with threadpool_limits(inputs.threads, user_api="blas"):
        curves = learn(kinds, inputs, monitor)
        whole = every_label(kinds[OWN], inputs)
    guessed, tested = guess(images[0]["y"], images[2]["y"]), len(images[2]["y"])
    metrics, compared = rows(inputs.classify.labels, curves, whole, guessed, tested)
    with new_folder(paths.results(name) / "classify") as folder:
        draw(inputs.classify.labels, curves, folder / "few_labels.png")
    write_scores(paths.results(name) / "classify.json", name, PROTOCOL, metrics, compared)
    monitor.note(pictures=[str(paths.results(name) / "classify" / "few_labels.png")])


def features(model: Model, x: np.ndarray) -> np.ndarray:
    """Return the model's features of x: (N, C, H, W), as float64 (N, D)."""
    with torch.no_grad():
        parts = [model.features(part) for part in torch.from_numpy(x).split(BATCH)]
    return torch.cat(parts).double().cpu().numpy()


def flat(x: np.ndarray) -> np.ndarray:
    """Return the pixels of x: (N, C, H, W), as float64 (N, C H W)."""
    return x.reshape(len(x), -1).astype(np.float64)


def learn(kinds: dict[str, Splits], inputs: ClassifyInputs, monitor: Monitor) -> Curves:
    """Return, by kind of features, the errors at each number of labels."""
    settings = inputs.classify
    labels = kinds[OWN].train[1]
    curves: Curves = {kind: [] for kind in kinds}
    done, total = 0, len(settings.labels) * len(kinds)
    for count in settings.labels:
        draws = [draw_labels(labels, count, inputs.seed + k) for k in range(settings.draws)]
        for kind, splits in kinds.items():
            curves[kind].append(few_labels(splits, draws, settings.strengths))
            done += 1
            monitor.progress(done, total, f"{count} labels, {kind}")
    return curves


def every_label(splits: Splits, inputs: ClassifyInputs) -> float:
    """Return the error of the same classifier learned from all training labels, in percent."""
    rows = np.arange(len(splits.train[1]))
    return 100 * float(few_labels(splits, [rows], inputs.classify.strengths).errors[0])


def guess(train: np.ndarray, test: np.ndarray) -> float:
    """Return the error of always guessing the commonest training class, in percent."""
    return 100 * float(np.mean(test != np.bincount(train).argmax()))


def rows(
    labels: list[int], curves: Curves, whole: float, guessed: float, tested: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of classify.json, errors in percent.

    Args:
        labels: the numbers of labels.
        curves: by kind of features, the errors at each number of labels.
        whole: the error with all training labels.
        guessed: the error of guessing.
        tested: test images.
    """
    metrics, compared = [], []
    for place, count in enumerate(labels):
        metric = f"error_{count}_labels"
        about = (
            f"Test error in percent from {count} labels on the EBM's features "
            f"(C = {curves[OWN][place].strength:g}); floor: all training labels, ceiling: guessing."
        )
        metrics.append(
            row(
                metric,
                100 * curves[OWN][place].errors,
                floor=whole,
                ceiling=guessed,
                better="lower",
                samples=tested,
                about=about,
            )
        )
        for kind in (RAW, SCALED):
            compared.append(beside(metric, kind, 100 * curves[kind][place].errors))
    return metrics, compared


def draw(labels: list[int], curves: Curves, path: Path) -> None:
    """Picture the errors by number of labels; the same errors give the same bytes."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.add_subplot()
        for place, (kind, line) in enumerate(curves.items()):
            errors = 100 * np.stack([point.errors for point in line])
            x = np.array(labels) * 1.02 ** (place - 1)  # apart, so that the bars can be read
            axes.errorbar(
                x, errors.mean(1), errors.std(1, ddof=1), marker="o", capsize=3, label=kind
            )
        axes.set(xscale="log", xlabel="labels", ylabel="test error, percent", ylim=(0, None))
        axes.set_xticks(labels, [str(count) for count in labels])
        axes.minorticks_off()
        axes.set_title("Linear classifier from few labels: mean and deviation over draws", size=10)
        axes.grid(alpha=0.3)
        axes.legend()
        figure.savefig(path, dpi=120, metadata={"Software": None})
