"""classifier: how right, how calibrated, how wary of other data and of attacks; beside its twin."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from ebm.apply.attack import attack
from ebm.learn.parts import at_rest
from ebm.metrics.calibration import BINS, Calibration, calibration, floor
from tasks.applications.job import Job, Outcome, Rows
from tasks.applications.lines import draw_lines
from tasks.pictures import sheet
from tasks.scores import beside, row

REVISION = 1

BATCH = 500  # images at once
SHOWN = 16  # attacked images pictured
EDGES = 60  # of the densities' histogram
PROTOCOL = (
    "Classifier: the softmax of the scores f_c on the {against} images, beside the plain twin (the "
    "same network, first weights and batches, learned by the cross entropy alone). Calibration: "
    "expected calibration error, {bins} bins. Out of distribution: AUROC of {against} images above "
    "those of {other}, by log sum_c exp f_c (density) and by the largest probability (confidence). "
    "Attacks: {steps} steps of projected gradient ascent of the cross entropy from the image, "
    "{norm} norm, on the first {attacked} images; accuracy left is an upper bound."
)


class Judged(NamedTuple):
    """What one classifier does.

    Attributes:
        scores: (N, C), of the images; `other`: (M, C), of the other data set's.
        calibration: see there.
        attacked: accuracy by size of attack.
        changed: (S, C, H, W), images under the largest attack.
    """

    scores: NDArray[np.float64]
    other: NDArray[np.float64]
    calibration: Calibration
    attacked: list[float]
    changed: NDArray[np.float32]


def run(job: Job) -> Outcome:
    """Judge the learner's classifiers on labelled images, and picture them side by side."""
    classifiers = job.learner.classifiers()
    judged = {}
    for place, (name, network) in enumerate(classifiers.items()):
        job.tell(place / len(classifiers), f"classifier, {name}")
        with at_rest(network):
            judged[name] = judge(job, network)
    settings = job.settings
    told = PROTOCOL.format(bins=BINS, **{k: getattr(settings, k) for k in WORDS})
    pictures = [draw(job, judged) for draw in (reliability, density, attacks, changed)]
    metrics = [r for make in (answers, wariness, strength) for r in make(job, judged["joint"])]
    compared = []
    if "plain" in judged:
        rows = [r for make in (answers, wariness, strength) for r in make(job, judged["plain"])]
        compared = [beside(r["metric"], "plain twin", r["value"]) for r in rows]
    return Outcome(told, metrics, compared, pictures)


WORDS = ("against", "other", "steps", "norm", "attacked")


def judge(job: Job, network: nn.Module) -> Judged:
    """Show a classifier the images, the other data set's, and attacked ones."""
    settings, right = job.settings, labels(job)
    scores = shown(network, torch.from_numpy(job.test))
    given = probabilities(scores)
    x, y = torch.from_numpy(job.test[: settings.attacked]), torch.from_numpy(right)
    left, last = [], x
    for size in settings.sizes:
        parts = zip(x.split(BATCH), y[: len(x)].split(BATCH), strict=True)
        how = {"size": size, "norm": settings.norm, "steps": settings.steps}
        last = torch.cat([attack(network, a, b, **how) for a, b in parts])
        found = shown(network, last).argmax(1)
        left.append(float((found == right[: len(x)]).mean()))
    return Judged(
        scores,
        shown(network, torch.from_numpy(other(job))),
        calibration(given.max(1), scores.argmax(1) == right),
        left,
        last[:SHOWN].numpy(),
    )


def labels(job: Job) -> NDArray[np.int64]:
    """Return the images' labels, (N,)."""
    assert job.labels is not None
    return job.labels


def other(job: Job) -> NDArray[np.float32]:
    """Return the other data set's images."""
    assert job.other is not None
    return job.other


def shown(network: Callable[[Tensor], Tensor], x: Tensor) -> NDArray[np.float64]:
    """Return scores, (N, C), of x: (N, C, H, W)."""
    with torch.no_grad():
        return torch.cat([network(part) for part in x.split(BATCH)]).double().numpy()


def log_sum(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log sum_c exp f_c, (N,), of scores (N, C)."""
    return np.logaddexp.reduce(scores, axis=1)


def probabilities(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p(y = c | x), (N, C), of scores (N, C)."""
    return np.exp(scores - log_sum(scores)[:, None])


def answers(job: Job, found: Judged) -> Rows:
    """Return the rows of accuracy, calibration error and log loss."""
    right, classes = labels(job), found.scores.shape[1]
    accuracy = float((found.scores.argmax(1) == right).mean())
    loss = float((log_sum(found.scores) - found.scores[np.arange(len(right)), right]).mean())
    commonest = float(np.bincount(right, minlength=classes).max() / len(right))
    by_chance = floor(probabilities(found.scores).max(1), job.seed)
    count: Any = {"samples": len(right)}
    return [
        row(
            "classifier_accuracy", [accuracy], floor=commonest, ceiling=1.0, better="higher",
            about="Share of images whose class is told; floor: the commonest class.", **count,
        ),
        row(
            "classifier_calibration_error", [found.calibration.error], floor=by_chance,
            ceiling=1 - accuracy, better="lower", about="Expected calibration error; floor: answers"
            " drawn by the stated probabilities; ceiling: the same answers, always certain.",
            **count,
        ),
        row(
            "classifier_log_loss", [loss], floor=0.0, ceiling=float(np.log(classes)),
            better="lower", about="Mean -log p(y | x) in nats; ceiling: equal odds.", **count,
        ),
    ]  # fmt: skip


def wariness(job: Job, found: Judged) -> Rows:
    """Return the rows of how well images are told from the other data set's."""
    measures = {"density": log_sum, "confidence": lambda scores: probabilities(scores).max(1)}
    told = np.repeat([1, 0], [len(found.scores), len(found.other)])
    return [
        row(
            f"classifier_auroc_{name}",
            [float(roc_auc_score(told, np.r_[measure(found.scores), measure(found.other)]))],
            floor=0.5,
            ceiling=1.0,
            better="higher",
            samples=len(told),
            about=f"Area under the curve of images against those of {job.settings.other}, by "
            f"{'log sum_c exp f_c' if name == 'density' else 'the largest probability'}.",
        )
        for name, measure in measures.items()
    ]


def strength(job: Job, found: Judged) -> Rows:
    """Return the rows of the accuracy under attacks."""
    clean = found.scores[: job.settings.attacked].argmax(1)
    unharmed = float((clean == labels(job)[: job.settings.attacked]).mean())
    return [
        row(
            name,
            [left],
            floor=0.0,
            ceiling=unharmed,
            better="higher",
            samples=len(clean),
            about=f"Accuracy under attacks of {job.settings.norm} size {size:g}; ceiling: of none.",
        )
        for name, size, left in zip(
            job.settings.names(), job.settings.sizes, found.attacked, strict=True
        )
    ]


def reliability(job: Job, judged: dict[str, Judged]) -> str:
    """Draw accuracy by confidence."""
    centres = (np.arange(BINS) + 0.5) / BINS
    lines = {name: each.calibration.accuracy for name, each in judged.items()}
    words = ("confidence", "accuracy", "Calibration: accuracy by stated confidence")
    path = job.folder / "classifier_reliability.png"
    draw_lines({**lines, "calibrated": centres}, path, words, centres, logarithmic=False)
    return path.stem


def density(job: Job, judged: dict[str, Judged]) -> str:
    """Draw how log sum_c exp f_c is spread over images and over the other data set's."""
    found = {
        f"{name}, {of}": log_sum(scores) - np.median(log_sum(each.scores))
        for name, each in judged.items()
        for of, scores in (("images", each.scores), (job.settings.other, each.other))
    }
    low, high = np.quantile(np.concatenate(list(found.values())), [0.005, 0.995])
    edges = np.linspace(low, high, EDGES + 1)
    lines = {name: np.histogram(v, edges)[0] / len(v) for name, v in found.items()}
    words = ("log sum exp f, less the images' median", "share", "Density: known and unknown data")
    path = job.folder / "classifier_density.png"
    draw_lines(lines, path, words, (edges[1:] + edges[:-1]) / 2, logarithmic=False)
    return path.stem


def attacks(job: Job, judged: dict[str, Judged]) -> str:
    """Draw the accuracy by size of attack."""
    at = np.array([0.0, *job.settings.sizes])
    lines = {}
    for name, each in judged.items():
        clean = each.scores[: job.settings.attacked].argmax(1)
        unharmed = (clean == labels(job)[: job.settings.attacked]).mean()
        lines[name] = np.array([unharmed, *each.attacked])
    words = (f"size of attack, {job.settings.norm}", "accuracy", "Attacks: accuracy left")
    path = job.folder / "classifier_attacks.png"
    draw_lines(lines, path, words, at, logarithmic=False)
    return path.stem


def changed(job: Job, judged: dict[str, Judged]) -> str:
    """Draw a column an image: as it is, and under the largest attack on each classifier."""
    lines = [job.test[:SHOWN], *(each.changed for each in judged.values())]
    path = job.folder / "classifier_changed.png"
    sheet(np.concatenate(lines), path, min(SHOWN, len(lines[-1])), 1000)
    return path.stem
