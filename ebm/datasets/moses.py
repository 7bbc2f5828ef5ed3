"""MOSES: molecules of ZINC's clean leads, carried by the package molsets."""

from pathlib import Path

import numpy as np

from ebm.datasets.loaded import Loaded, Tell, silent
from ebm.datasets.smiles import Options, cut_lines, loaded, read_lines
from ebm.datasets.source import Source

__all__ = ["ITEMS", "SOURCE", "Options", "load"]

REVISION = 1

ITEMS = "molecules"
HEAD = "SMILES"

SOURCE = Source(
    title="MOSES (Molecular Sets)",
    licence="MIT",
    credit="Polykovskiy et al., arXiv 1811.12823; of ZINC's clean leads, Irwin and Shoichet",
    files={
        "train.csv": "cc9d6e8e9534e25a7a36361529ae739ddda8036e9072b2fc5cea6930a0592144",
        "test.csv": "0248e682a9c29ca7649184dd88a4edc83f48f0e84af6b923990069c3da4501b6",
    },
    folder="moses",
    package="moses",
    inside="dataset/data",
    carrier="molsets==0.3.1",
    wheel="7f4450e3ebecebe79c3a2a55950c93daddee071120daf64a163d03481e811d34",
)


def load(raw: Path, options: Options, tell: Tell = silent) -> Loaded:
    """Return molecules as tokens, (N, longest + 1) uint8: smiles.py says which.

    The first `items` of the official training part come first, then the official test part.

    Raises:
        ValueError: a file is missing or damaged, a line is no SMILES, naming it, or there are fewer
            training molecules than asked for.
    """
    train, test = (read_part(raw / f"{part}.csv") for part in ("train", "test"))
    if len(train) < options.items:
        raise ValueError(
            f"options.items is {options.items}; {raw / 'train.csv'} has {len(train)} molecules"
        )
    molecules = cut_lines(train[: options.items], options, raw / "train.csv", 2, tell)
    molecules += cut_lines(test, options, raw / "test.csv", 2, tell)
    return loaded(molecules, options, np.arange(options.items, len(molecules)))


def read_part(path: Path) -> list[str]:
    """Return the SMILES of a part, under its head."""
    head, *lines = read_lines(path, "fetch@moses")
    if head != HEAD or not lines:
        raise ValueError(
            f"{path}, line 1: it is {head[:60]!r}; it must be {HEAD}, molecules under it"
        )
    return lines
