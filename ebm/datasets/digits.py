"""Handwritten digits, 8x8, inside scikit-learn."""

import gzip
import zlib
from pathlib import Path

import numpy as np

from ebm.datasets.loaded import Loaded, Tell, silent
from ebm.datasets.source import Source

REVISION = 1

Options = None

SOURCE = Source(
    title="Optical Recognition of Handwritten Digits (test part)",
    licence="CC BY 4.0",
    credit="Alpaydin and Kaynak, UCI Machine Learning Repository, 1998",
    files={"digits.csv.gz": "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"},
    folder="digits",
    package="sklearn",
    inside="datasets/data",
)


def load(raw: Path, options: None = None, tell: Tell = silent) -> Loaded:
    """Return images (1797, 1, 8, 8) in [-1, 1], 17 levels, and labels (1797,) in 0..9.

    Args:
        raw: the folder of digits.csv.gz: a line is 64 values in 0..16 and the digit.

    Raises:
        ValueError: the file is missing, damaged, or holds other than 65 columns in range.
    """
    path = raw / "digits.csv.gz"
    try:
        with gzip.open(path, "rt") as file:
            table = np.loadtxt(file, delimiter=",", ndmin=2)
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; run the stage fetch@digits again") from None
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ValueError(f"{path} is damaged or no table of numbers ({error})") from None
    if len(table) == 0 or table.shape[1] != 65:
        raise ValueError(f"{path} holds a table {table.shape}; it must have 65 columns")
    pixels, labels = table[:, :64], table[:, 64]
    if not (pixels.min() >= 0 and pixels.max() <= 16) or not set(labels) <= set(range(10)):
        raise ValueError(f"{path} holds pixels beyond 0..16 or labels beyond 0..9")
    images = (pixels / 8 - 1).astype(np.float32).reshape(-1, 1, 8, 8)
    return Loaded(images, labels.astype(np.int64))
