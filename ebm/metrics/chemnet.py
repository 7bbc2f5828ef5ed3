"""FCD, the Frechet ChemNet distance of two sets of molecules.

    FCD(A, B) = |m_A - m_B|^2 + tr(S_A + S_B - 2 (S_A S_B)^(1/2))

m and S are mean and covariance, with 1/(n - 1), of the 512 activations of ChemNet's last hidden
layer, a network that was trained to predict the activity of molecules; the computation is that of
frechet.py, in float64.

Protocol: ChemNet v0.13 as the package fcd_torch carries it, on canonical SMILES; valid molecules
alone can be compared, so a low validity is not seen in it. It falls as the sets grow: the number of
molecules is part of the figure's name, and only figures of equal counts are put side by side.

Source: Preuer, Renz, Unterthiner, Hochreiter and Klambauer, arXiv 1803.09518.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from ebm.datasets.loaded import Tell, silent
from ebm.metrics.frechet import frechet_distance

REVISION = 1

FEATURES = 512
BATCH = 256  # molecules at a time: memory, and how often progress is told
LONGEST = 349  # symbols that ChemNet sees of a SMILES


@cache
def network() -> Any:
    """Return ChemNet, as fcd_torch loads its own file."""
    from fcd_torch import FCD

    return FCD(device="cpu", n_jobs=1, batch_size=BATCH, canonize=False)


def activations(smiles: Sequence[str], tell: Tell = silent) -> np.ndarray:
    """Return ChemNet's activations, (N, 512) float64, of canonical SMILES.

    Raises:
        ValueError: there are none, or one is longer than ChemNet sees.
    """
    if not smiles:
        raise ValueError("there are 0 molecules; give 1 or more")
    long = next((each for each in smiles if len(each) > LONGEST), None)
    if long is not None:
        raise ValueError(f"{long[:60]!r}... has {len(long)} characters; ChemNet sees {LONGEST}")
    rows = []
    for first in range(0, len(smiles), BATCH):
        rows.append(predicted(smiles[first : first + BATCH]))
        tell(min(first + BATCH, len(smiles)), len(smiles))
    return np.concatenate(rows).astype(np.float64)


def predicted(smiles: Sequence[str]) -> np.ndarray:
    """Return ChemNet's activations of a batch."""
    from fcd_torch.utils import get_one_hot
    import torch

    width = max(map(len, smiles))
    del width
    x = np.stack([get_one_hot(each, LONGEST + 1) for each in smiles])
    with torch.no_grad():
        found = network().model(torch.from_numpy(x / x.shape[1]).transpose(1, 2).float())
    return found.numpy()
