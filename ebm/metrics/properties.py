"""Properties of molecules by RDKit, and how far two sets' distributions of one are apart.

    qed     quantitative estimate of drug-likeness, in [0, 1]
    log_p   octanol-water partition coefficient, decadic logarithm, estimated from the atoms
    weight  average molecular weight, in dalton

The distance of two distributions is Wasserstein's first, in the property's own unit:

    W_1(P, Q) = integral |F_P(t) - F_Q(t)| dt

Sources: Bickerton, Paolini, Besnard, Muresan and Hopkins, Nature Chemistry 4, 2012 (QED); Wildman
and Crippen, Journal of Chemical Information and Computer Sciences 39, 1999 (log P).
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ebm.datasets.loaded import Tell, silent
from ebm.metrics.molecules import molecule

REVISION = 1

PROPERTIES = {
    "qed": "drug-likeness (QED)",
    "log_p": "log P, octanol over water",
    "weight": "molecular weight, dalton",
}


def properties(smiles: Iterable[str], tell: Tell = silent) -> dict[str, np.ndarray]:
    """Return each property of the molecules, (N,) float64 by its name in PROPERTIES.

    Raises:
        ValueError: a string has no molecule.
    """
    from rdkit.Chem import QED, Crippen, Descriptors

    measures: list[Any] = [QED.qed, Crippen.MolLogP, Descriptors.MolWt]  # type: ignore[attr-defined]
    given = list(smiles)
    rows = []
    for place, each in enumerate(given):
        read = molecule(each)
        if read is None:
            raise ValueError(
                f"string {place} is {each[:60]!r}, which has no molecule; leave it out"
            )
        rows.append([measure(read) for measure in measures])
        if len(rows) % 1000 == 0:
            tell(len(rows), len(given))
    columns = np.array(rows, dtype=np.float64).reshape(len(rows), len(PROPERTIES)).T
    return dict(zip(PROPERTIES, columns, strict=True))


def wasserstein(a: ArrayLike, b: ArrayLike) -> float:
    """Return W_1 of two samples, (N,) and (M,), in their unit.

    Raises:
        ValueError: one is empty.

    >>> wasserstein([0.0, 1.0], [3.0])
    2.5
    """
    first, second = (np.sort(np.asarray(x, dtype=np.float64)) for x in (a, b))
    if not len(first) or not len(second):
        raise ValueError(f"the samples have {len(first)} and {len(second)} values; give 1 or more")
    t = np.sort(np.concatenate([first, second]))
    below = [np.searchsorted(x, t[:-1], side="right") / len(x) for x in (first, second)]
    return float(np.sum(np.abs(below[0] - below[1]) * np.diff(t)))
