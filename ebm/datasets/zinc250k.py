"""ZINC250k: 249,455 drug-like molecules, with the split of the junction tree VAE."""

import json
from pathlib import Path

import numpy as np

from ebm.datasets.loaded import Loaded, Tell, silent
from ebm.datasets.smiles import Options, cut_lines, loaded, read_lines
from ebm.datasets.source import Source

__all__ = ["ITEMS", "SOURCE", "Options", "load"]

REVISION = 1

ITEMS = "molecules"
NAME, SPLITS = "zinc250k.smi", "splits.json"

SOURCE = Source(
    title="ZINC250k",
    licence="free to use; redistributed by wenhao-gao/mol_opt under the MIT licence",
    credit=(
        "Irwin and Shoichet's ZINC; subset of Gomez-Bombarelli et al., arXiv 1610.02415; split of "
        "Jin, Barzilay and Jaakkola, arXiv 1802.04364"
    ),
    files={
        NAME: "df0aa677c770f15c9943684d6600cba8e7076c67be6a090c12f24da3aaa55b70",
        SPLITS: "7a8209c70f083b0fd198488dc0eb010103da5fbafd70d4d0b76d357da2e179ad",
    },
    folder="zinc250k",
)


def load(raw: Path, options: Options, tell: Tell = silent) -> Loaded:
    """Return molecules as tokens, (N, longest + 1) uint8: smiles.py says which.

    The first 5,000 are the official test part; 24,445 others are the official validation part, and
    none of these is trained on.

    Raises:
        ValueError: a file is missing or damaged, a line is no SMILES, naming it, or there are fewer
            training molecules than asked for.
    """
    lines = read_lines(raw / NAME, "fetch@zinc250k")
    test, validation = splits(raw / SPLITS, len(lines))
    train = np.setdiff1d(np.arange(len(lines)), np.concatenate([test, validation]))
    if len(train) < options.items:
        raise ValueError(
            f"options.items is {options.items}; {raw / NAME} has {len(train)} to train on"
        )
    molecules = cut_lines(lines, options, raw / NAME, tell=tell)
    kept = np.sort(np.concatenate([test, validation, train[: options.items]]))
    chosen = [molecules[row] for row in kept]
    return loaded(chosen, options, *(np.searchsorted(kept, rows) for rows in (test, validation)))


def splits(path: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the official test part and of the validation part.

    Args:
        path: the file of them.
        count: how many molecules there are.

    Raises:
        ValueError: the file is missing or damaged.
    """
    try:
        found = json.loads(path.read_text())["jtvae"]
        test, validation = np.arange(found["test_first_n"]), np.array(found["valid_idx"])
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; run the stage fetch@zinc250k again") from None
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as splits ({error!r})") from None
    rows = np.concatenate([test, validation])
    if len(set(rows.tolist())) < len(rows) or rows.min() < 0 or rows.max() >= count:
        raise ValueError(
            f"{path} names rows {rows.min()} to {rows.max()}; each of 0..{count - 1} may be named "
            "once"
        )
    return test, validation
