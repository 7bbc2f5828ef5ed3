"""classify: learn from few labels, by the model's features and network, and by others beside."""

from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from ebm.metrics.few_labels import Splits, draw_labels, few_labels
from ebm.metrics.fine_tune import (
    Classifier,
    FineTuned,
    Recipe,
    fine_tune,
    from_learned,
    from_scratch,
)
from ebm.stored import load
from tasks.artefacts import new_folder
from tasks.classify_settings import FineTuneSettings
from tasks.error_picture import draw_errors
from tasks.inputs import ClassifyInputs
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.rivals import OWN, Rivals, check_labels, compete, gather
from tasks.scores import beside_spread, row, write_scores

REVISION = 2

TUNED, SCRATCH = "the EBM's network, fine-tuned", "same network from scratch"
PROTOCOL = (
    "Logistic regression on few labels of the training split, the same stratified draws for every "
    "kind of features; the regularisation is chosen on the validation split; test error in "
    "percent, mean and standard deviation over the draws."
)
WHOLE = (
    " Fine-tuned: the EBM's network under a head that begins as the regression on its features, "
    "all of it trained on the same labels; from scratch: the same network from random weights, by "
    "the same steps, its head too; rate and checkpoint are chosen on the validation split."
)

Curves = dict[str, list[Any]]  # FewLabels or FineTuned at each number of labels, by rival


def run(name: str, part: None, inputs: ClassifyInputs, paths: Paths, monitor: Monitor) -> None:
    """Write results/NAME/classify.json and the picture results/NAME/classify/few_labels.png.

    Raises:
        ValueError: the labels cannot be drawn, or a reference does not cover the images.
    """
    settings = inputs.classify
    images, slow = gather(inputs.dataset, settings.networks, paths)
    check_labels(f"experiments.{name}.classify.labels", settings.labels, images.train[1])
    model = load(paths.model(name, inputs.final))
    with threadpool_limits(inputs.threads, user_api="blas"):
        rivals = compete(model.learner.feature_network, images, slow)
        curves = learn(rivals, inputs, monitor)
        whole = every_label(rivals.kinds[OWN], settings.strengths)
    guessed = guess(images.train[1], images.test[1])
    metrics, compared = rows(settings.labels, curves, whole, guessed, len(images.test[1]))
    with new_folder(paths.results(name) / "classify") as folder:
        errors = {kind: [100 * point.errors for point in line] for kind, line in curves.items()}
        draw_errors(settings.labels, errors, folder / "few_labels.png")
    protocol = PROTOCOL + (WHOLE if settings.fine_tune else "")
    write_scores(paths.results(name) / "classify.json", name, protocol, metrics, compared)
    monitor.note(pictures=[str(paths.results(name) / "classify" / "few_labels.png")])


def learn(rivals: Rivals, inputs: ClassifyInputs, monitor: Monitor) -> Curves:
    """Return, by rival, the errors at each number of labels."""
    settings, labels = inputs.classify, rivals.images.train[1]
    curves: Curves = {kind: [] for kind in rivals.kinds}
    trainings = 2 * settings.draws * len(settings.fine_tune.rates) if settings.fine_tune else 0
    steps, total = count(1), len(settings.labels) * (len(rivals.kinds) + trainings)
    for many in settings.labels:
        seeds = [inputs.seed + k for k in range(settings.draws)]
        draws = [draw_labels(labels, many, seed) for seed in seeds]
        for kind, splits in rivals.kinds.items():
            curves[kind].append(few_labels(splits, draws, settings.strengths))
            monitor.progress(next(steps), total, f"{many} labels, {kind}")
        if settings.fine_tune is None:
            continue
        recipe, regressions = recipe_of(settings.fine_tune), curves[OWN][-1].models
        for kind, starts in begin(rivals, draws, seeds, regressions, settings.strengths).items():

            def told(text: str = f"{many} labels, {kind}") -> None:
                monitor.progress(next(steps), total, text)

            tuned = fine_tune(starts, rivals.images, draws, recipe, inputs.seed, told)
            curves.setdefault(kind, []).append(tuned)
    return curves


def begin(
    rivals: Rivals,
    draws: Sequence[np.ndarray],
    seeds: Sequence[int],
    regressions: Sequence[LogisticRegression],
    strengths: Sequence[float],
) -> dict[str, list[Classifier]]:
    """Return where the training of a whole network begins, by rival, a classifier a draw.

    Args:
        rivals: with the EBM's network.
        draws: the labelled rows.
        seeds: of the networks that have learned nothing, one a draw.
        regressions: on the EBM's features, one a draw.
        strengths: values of C, for the others.
    """
    given = list(zip(draws, seeds, strict=True))
    return {
        TUNED: [from_learned(rivals.network, *rivals.scaled, each) for each in regressions],
        SCRATCH: [
            from_scratch(rivals.network, rivals.images, rows, strengths, seed)
            for rows, seed in given
        ],
    }


def recipe_of(settings: FineTuneSettings) -> Recipe:
    """Return the settings of training a whole network."""
    return Recipe(settings.updates, settings.batch, settings.rates, settings.decay, settings.checks)


def every_label(splits: Splits, strengths: Sequence[float]) -> float:
    """Return the error of the same classifier learned from all training labels, in percent."""
    everything = np.arange(len(splits.train[1]))
    return 100 * float(few_labels(splits, [everything], strengths).errors[0])


def guess(train: np.ndarray, test: np.ndarray) -> float:
    """Return the error of always guessing the commonest training class, in percent."""
    return 100 * float(np.mean(test != np.bincount(train).argmax()))


def rows(
    labels: list[int], curves: Curves, whole: float, guessed: float, tested: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of classify.json, errors in percent.

    Args:
        labels: the numbers of labels.
        curves: by rival, the errors at each number of labels.
        whole: the error with all training labels, on the EBM's features.
        guessed: the error of guessing.
        tested: test images.
    """
    metrics, compared = [], []
    for place, many in enumerate(labels):
        own, metric = curves[OWN][place], f"error_{many}_labels"
        metrics.append(
            row(
                metric,
                100 * own.errors,
                floor=whole,
                ceiling=guessed,
                better="lower",
                samples=tested,
                about=f"Test error in percent from {many} labels on the EBM's features "
                f"(C = {own.strength:g}); floor: all training labels, ceiling: guessing.",
            )
        )
        for kind in [kind for kind in curves if kind not in (OWN, TUNED, SCRATCH)]:
            compared.append(beside_spread(metric, kind, 100 * curves[kind][place].errors))
    for place, many in enumerate(labels if TUNED in curves else ()):
        tuned, scratch = curves[TUNED][place], curves[SCRATCH][place]
        metrics += tuned_rows(many, tuned, scratch, guessed, tested)
        metric = f"error_{many}_labels_fine_tuned"
        for kind in (SCRATCH, OWN):
            compared.append(beside_spread(metric, kind, 100 * curves[kind][place].errors))
    return metrics, compared


def tuned_rows(
    many: int, tuned: FineTuned, scratch: FineTuned, guessed: float, tested: int
) -> list[dict[str, Any]]:
    """Return the rows of the fine-tuned network at one number of labels: its error and margin."""
    chosen = [f"rate {each.rate:g}, {each.updates} updates" for each in (tuned, scratch)]
    error = row(
        f"error_{many}_labels_fine_tuned",
        100 * tuned.errors,
        floor=0.0,
        ceiling=guessed,
        better="lower",
        samples=tested,
        about=f"Test error in percent of the EBM's network fine-tuned on {many} labels "
        f"({chosen[0]}; from scratch {chosen[1]}); ceiling: guessing.",
    )
    margin = row(
        f"margin_{many}_labels",
        100 * (scratch.errors - tuned.errors),
        floor=0.0,
        ceiling=100 * float(np.mean(scratch.errors)),
        better="higher",
        samples=tested,
        about=f"Points by which the EBM's network fine-tuned on {many} labels errs less than the "
        "same network from scratch, on the same draws; floor: none, ceiling: all of its error.",
    )
    return [error, margin]
