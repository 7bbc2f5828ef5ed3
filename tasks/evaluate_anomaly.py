"""evaluate, of experiments that find anomalies: how well the scores rank them first."""

from pathlib import Path
from typing import Any

import numpy as np

from ebm.metrics.anomaly import Ranked, least, ranked
from tasks.anomaly_settings import AnomalySettings, EvaluateAnomalyInputs
from tasks.artefacts import load_arrays, new_folder, read_json
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.pictures import sheet
from tasks.scores import beside, beside_spread, row, write_scores

REVISION = 1

COLUMNS = 20  # of a gallery
RIVALS = {
    "error": "likelihood at the inferred z alone",
    "prior": "prior at the inferred z alone",
}
COMPONENTS = "squared error of as many principal components"

Rows = list[dict[str, Any]]
Scores = dict[str, np.ndarray]


def run(
    name: str, part: None, inputs: EvaluateAnomalyInputs, paths: Paths, monitor: Monitor
) -> None:
    """Write results/NAME/metrics.json, and the galleries in results/NAME/evaluate."""
    data = paths.prepared(inputs.dataset)
    notes = read_json(data / "manifest.json")["notes"]
    scores = load_arrays(paths.samples(name) / "scores.npz")
    strange = scores["y"] == notes["digit"]
    splits = {"a": np.arange(len(strange)) < notes["split_a"], "b": np.full(len(strange), True)}
    stages = inputs.evaluate.models
    metrics: Rows = []
    compared: Rows = []
    for split, rows in splits.items():
        made, rivals = of_split(
            split, {k: v[rows] for k, v in scores.items()}, strange[rows], stages
        )
        metrics, compared = metrics + made, compared + rivals
    test = load_arrays(data / "test.npz")["x"][: notes["split_a"]]
    joint = scores[f"{inputs.final}_joint"][: notes["split_a"]]
    with new_folder(paths.results(name) / "evaluate") as folder:
        galleries(test, joint, inputs.evaluate, folder)
        draw_curves(scores, strange, stages, notes["split_a"], folder / "precision_recall.png")
    shown = sorted((paths.results(name) / "evaluate").glob("*.png"))
    monitor.note(pictures=[str(path) for path in shown])
    write_scores(
        paths.results(name) / "metrics.json", name, protocol(notes, len(stages)), metrics, compared
    )


def protocol(notes: dict[str, Any], seeds: int) -> str:
    """Say how it was measured."""
    return (
        f"Digit {notes['digit']} is the anomaly; the model has learned from 80 % of the others. "
        "Score: -log p(x, z) at the z found without noise. Split A: a random fifth of all 70,000 "
        "images. Split B: its normal ones and every image of the digit; its figures cannot be "
        "compared with A's, since chance is the prevalence. Means over "
        f"{seeds} seeds of training; AP is average precision."
    )


def of_split(
    split: str, scores: Scores, strange: np.ndarray, stages: list[str]
) -> tuple[Rows, Rows]:
    """Return the rows of one split, and of its rivals."""
    found = {
        of: [ranked(scores[f"{stage}_{of}"], strange) for stage in stages]
        for of in ("joint", *RIVALS)
    }
    pca = ranked(scores["components"], strange)
    prevalence, count = found["joint"][0].prevalence, len(strange)
    fields = {
        f"anomaly_ap_{split}": ("average_precision", prevalence, 1.0, "Average precision"),
        f"anomaly_trapezoid_{split}": ("trapezoid", prevalence, 1.0, "Area by trapezoids"),
        f"anomaly_lift_{split}": ("lift", 1.0, 1 / prevalence, "Average precision over prevalence"),
        f"anomaly_auroc_{split}": ("auroc", 0.5, 1.0, "Area under the ROC"),
    }
    metrics: Rows = []
    compared: Rows = []
    for metric, (field, floor, ceiling, about) in fields.items():
        told = (
            f"{about}, split {split.upper()}, {int(strange.sum())} anomalies among {count}; floor: "
            f"a score that knows nothing. The least average precision possible is "
            f"{least(prevalence):.3f}."
        )
        metrics.append(
            row(
                metric,
                values(found["joint"], field),
                floor=floor,
                ceiling=ceiling,
                better="higher",
                samples=count,
                about=told,
            )
        )
        for of, words in RIVALS.items():
            rival = np.array(values(found[of], field))
            compared.append(
                beside_spread(metric, words, rival)
                if len(rival) > 1
                else beside(metric, words, rival)
            )
        compared.append(beside(metric, COMPONENTS, getattr(pca, field)))
    return metrics, compared


def values(found: list[Ranked], field: str) -> list[float]:
    """Return a figure of each seed."""
    return [float(getattr(each, field)) for each in found]


def galleries(x: np.ndarray, scores: np.ndarray, asked: AnomalySettings, folder: Path) -> None:
    """Draw the strangest items of the test part, the strangest first, and the most normal."""
    order = np.argsort(-scores, kind="stable")
    sheet(x[order[: asked.gallery]], folder / "strangest.png", COLUMNS, 900)
    sheet(x[order[-asked.gallery :][::-1]], folder / "most_normal.png", COLUMNS, 900)


def draw_curves(
    scores: Scores, strange: np.ndarray, stages: list[str], count: int, path: Path
) -> None:
    """Draw precision by recall on split A, a line a seed."""
    import matplotlib
    from matplotlib.figure import Figure
    from sklearn.metrics import precision_recall_curve

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        figure = Figure(figsize=(6, 4.2), layout="constrained")
        axes = figure.add_subplot()
        for stage in stages:
            own = scores[f"{stage}_joint"][:count]
            precision, recall, _ = precision_recall_curve(strange[:count], own)
            axes.plot(recall, precision, label=stage, linewidth=1)
        axes.axhline(strange[:count].mean(), color="grey", linestyle=":", label="prevalence")
        axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1))
        axes.set_title("Anomalies found, split A", size=10)
        axes.legend(fontsize=8)
        figure.savefig(path, dpi=110, metadata={"Software": None})
