"""How well a score ranks anomalies first: the area under precision and recall, and the ROC.

    AP = sum_n (R_n - R_(n-1)) P_n            (average precision: steps)
    trapezoid = the same area with straight lines between the points, which flatters

over thresholds n, with precision P and recall R; anomalies are the positives. A score that knows
nothing has the prevalence p as its AP; the least there can be is 1 + (1 - p) ln(1 - p) / p.

Source: scikit-learn's precision_recall_curve and average_precision_score; Boyd, Davis, Page,
Costa, "Unachievable region in precision-recall space", arXiv:1206.4667 (the least area).
"""

import math
from typing import NamedTuple

import numpy as np
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score

REVISION = 1


class Ranked(NamedTuple):
    """What a score is worth.

    Attributes:
        average_precision, trapezoid: areas under precision and recall, in [0, 1].
        auroc: the area under the ROC, .5 of a score that knows nothing.
        prevalence: share of anomalies.
    """

    average_precision: float
    trapezoid: float
    auroc: float
    prevalence: float

    @property
    def lift(self) -> float:
        """Average precision over the prevalence: 1 of a score that knows nothing."""
        return self.average_precision / self.prevalence


def ranked(scores: np.ndarray, strange: np.ndarray) -> Ranked:
    """Judge scores, (N,), the higher the stranger, by which are anomalies, (N,), boolean.

    Raises:
        ValueError: all or none are anomalies.
    """
    if strange.all() or not strange.any():
        raise ValueError(f"{int(strange.sum())} of {len(strange)} are anomalies; both are needed")
    precision, recall, _ = precision_recall_curve(strange, scores)
    return Ranked(
        float(average_precision_score(strange, scores)),
        float(auc(recall, precision)),
        float(roc_auc_score(strange, scores)),
        float(strange.mean()),
    )


def least(prevalence: float) -> float:
    """Return the least average precision that any ranking has at a prevalence in (0, 1).

    >>> round(least(0.1), 3)
    0.052
    """
    return 1 + (1 - prevalence) * math.log(1 - prevalence) / prevalence
