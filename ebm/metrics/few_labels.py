"""Error of a linear classifier on given features, learned from few labels.

    p(y = k | h) = softmax_k(W h + b),    W, b = argmin  sum_i -log p(y_i | h_i) + |W|^2 / (2 C)

over the labelled rows i alone.

Protocol: several draws of the labelled rows from the training split, stratified: each class has
the same number, to one. Features may be standardised by the mean and the deviation of all training
rows, which takes no labels. The strength C is the one with the smallest mean error over the draws
on the validation split. The test split is used once, for the error that is reported. The same
draws serve every kind of features that is compared.

Sample size: labels must be as many as classes at least. On n test rows an error e has a standard
error of sqrt(e (1 - e) / n) besides the spread over draws. The validation labels that choose C
are not counted among the few.

Source: features of a generative ConvNet with few labels: multigrid learning, arXiv:1709.08868; the
use of more labels for the choice than for the learning is criticised in arXiv:1804.09170.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

REVISION = 1

ITERATIONS = 2000  # of the solver, which stops by itself long before

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


class Splits(NamedTuple):
    """Features and labels of the three splits: h: (N, D), y: (N,) each."""

    train: tuple[Array, Labels]
    validation: tuple[Array, Labels]
    test: tuple[Array, Labels]


class FewLabels(NamedTuple):
    """What came out.

    Attributes:
        errors: (draws,), the share of wrong test rows in each draw, in [0, 1].
        strength: C, chosen on the validation split.
        models: the classifiers, one a draw.
    """

    errors: Array
    strength: float
    models: Sequence[LogisticRegression]


def draw_labels(y: Labels, count: int, seed: int) -> Labels:
    """Return the sorted rows of a stratified draw of `count` labels.

    Args:
        y: (N,), the labels of the training split.
        count: rows drawn; where it is no multiple of the classes, the classes that have one more
            are drawn too.
        seed: of the draw.

    Raises:
        ValueError: count is below the number of classes, or a class has too few rows.
    """
    classes = np.unique(y)
    if count < len(classes):
        raise ValueError(
            f"{count} labels are asked for; with {len(classes)} classes it must be "
            f"{len(classes)} or more"
        )
    random = np.random.default_rng((seed, count))
    more = set(random.permutation(classes)[: count % len(classes)].tolist())
    rows = []
    for label in classes.tolist():
        here, wanted = np.flatnonzero(y == label), count // len(classes) + (label in more)
        if wanted > len(here):
            raise ValueError(
                f"{count} labels are asked for, {wanted} of class {label}; "
                f"the training split has only {len(here)} of it"
            )
        rows.append(random.choice(here, wanted, replace=False))
    return np.sort(np.concatenate(rows))


def standardise(splits: Splits) -> Splits:
    """Return the splits with the training rows at mean 0 and deviation 1; constants become 0."""
    mean, scale = scaling(splits.train[0])
    return Splits(*(((h - mean) * scale, y) for h, y in splits))


def scaling(h: Array) -> tuple[Array, Array]:
    """Return the mean, (D,), and the scale, (D,), that bring h: (N, D) to mean 0, deviation 1.

    The scale of a constant is 0.
    """
    mean, deviation = h.mean(0), h.std(0)
    varies = deviation > 1e-6 * max(1.0, float(deviation.max()))
    return mean, np.where(varies, 1 / np.where(varies, deviation, 1), 0)


def few_labels(splits: Splits, draws: Sequence[Labels], strengths: Sequence[float]) -> FewLabels:
    """Return the test errors of classifiers learned from each draw.

    Args:
        splits: features and labels.
        draws: the labelled rows of the training split, one array a draw.
        strengths: the values of C among which the validation split chooses; of equals the smallest.

    Raises:
        ValueError: there is no draw, or strengths is empty or holds one that is not positive.
    """
    if not len(draws) or not len(strengths) or min(strengths) <= 0:
        raise ValueError(
            f"there are {len(draws)} draws and the strengths are {list(strengths)}; "
            "give a draw at least, and strengths above 0"
        )
    fitted = {
        strength: [learn(splits.train, rows, strength) for rows in draws]
        for strength in sorted(strengths)
    }
    validated = {
        strength: np.mean([error(model, *splits.validation) for model in models])
        for strength, models in fitted.items()
    }
    best = min(validated, key=lambda strength: validated[strength])
    errors = np.array([error(model, *splits.test) for model in fitted[best]])
    return FewLabels(errors, best, fitted[best])


def learn(train: tuple[Array, Labels], rows: Labels, strength: float) -> LogisticRegression:
    """Return the classifier learned from some rows of the training split."""
    h, y = train
    return LogisticRegression(C=strength, max_iter=ITERATIONS).fit(h[rows], y[rows])


def error(model: LogisticRegression, h: Array, y: Labels) -> float:
    """Return the share of rows h: (N, D) whose label y: (N,) the classifier misses."""
    return float(np.mean(model.predict(h) != y))
