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
from pathlib import Path
from typing import Any

import numpy as np

from ebm.datasets.loaded import Tell, silent
from ebm.metrics.frechet import frechet_distance

REVISION = 1

FEATURES = 512
BATCH = 256  # molecules at a time: memory, and how often progress is told
LONGEST = 349  # symbols that ChemNet sees of a SMILES
WEIGHTS = "ChemNet_v0.13_pretrained.pt"


@cache
def network() -> Any:
    """Return ChemNet without its last layer, from the file inside fcd_torch, read as data.

    The package itself would read it as torch does by default, which a variable of the environment
    turns into running what is in it.

    Raises:
        ValueError: the file is damaged, or holds more than data.
    """
    import fcd_torch
    import torch
    from fcd_torch.utils import load_imported_model

    path = Path(fcd_torch.__file__).with_name(WEIGHTS)
    try:
        layers = torch.load(path, map_location="cpu", weights_only=True)
        return load_imported_model(layers).eval()
    except Exception as error:  # torch, pickle, zipfile and the package each have their own
        raise ValueError(f"{path} holds more than data, or is damaged") from error


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
        rows.append(seen(smiles[first : first + BATCH]))
        tell(min(first + BATCH, len(smiles)), len(smiles))
    return np.concatenate(rows).astype(np.float64)


def seen(smiles: Sequence[str]) -> np.ndarray:
    """Return the activations of a batch, (n, 512), whose marks are spread as ChemNet learned them.

    Each position holds 1 / 35 at its symbol, of 35 symbols, as fcd_torch has it.
    """
    import torch
    from fcd_torch.utils import get_one_hot

    marks = np.stack([get_one_hot(each, LONGEST + 1) for each in smiles])
    x = torch.from_numpy(marks / marks.shape[-1]).float()
    with torch.no_grad():
        found: np.ndarray = network()(x.transpose(1, 2)).numpy()
    return found


def fcd(a: np.ndarray, b: np.ndarray) -> float:
    """Return the FCD of two sets, from their activations, (N, 512) and (M, 512); N, M > 512.

    Raises:
        ValueError: a set has too few molecules, or other features.
    """
    for what, x in (("first", a), ("second", b)):
        if x.ndim != 2 or x.shape[1] != FEATURES:
            raise ValueError(f"the {what} set has shape {x.shape}; for FCD it must be (N, 512)")
    return frechet_distance(a, b)
