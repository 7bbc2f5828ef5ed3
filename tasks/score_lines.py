"""A text file's lines ranked by f(x): rows of a table, or molecules as SMILES.

Which of both it is follows from what the model learned from. A line that is wrong ends it, by name:
a ranking that silently lacks a row would be believed.
"""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ebm.datasets.smiles import Symbols, cut, encode
from ebm.model import BATCH, Model
from tasks.artefacts import read_json
from tasks.paths import Paths
from tasks.settings import read as read_settings

TEXTS = (".csv", ".tsv", ".txt", ".smi", ".smiles")  # how such a file's name ends

Parse = Callable[[Path, str], tuple[list[int], np.ndarray]]


def is_text(path: Path) -> bool:
    """Tell whether a file is one of lines."""
    return path.suffix.lower() in TEXTS


def score_lines(
    model: Model, path: Path, name: str, experiment: str, paths: Paths
) -> list[tuple[str, float]]:
    """Return (FILE:LINE, f(x)) of each line.

    Args:
        path, name: the file, and what the user calls it.
        experiment: whose model it is.

    Raises:
        ValueError: the model learned from images or ways, or a line is wrong; it is named.
    """
    parse = parser(model, experiment, paths)
    lines, rows = parse(path, name)
    with torch.no_grad():
        parts = [
            model.learner.score(torch.from_numpy(rows[first : first + BATCH])).cpu()
            for first in range(0, len(rows), BATCH)
        ]
    values = torch.cat(parts).tolist()
    return [(f"{name}:{line}", value) for line, value in zip(lines, values, strict=True)]


def parser(model: Model, experiment: str, paths: Paths) -> Parse:
    """Return what reads lines for a model.

    Raises:
        ValueError: the model learned from images or ways.
    """
    decoder = getattr(model.learner.settings, "decoder", None)
    shape = tuple(getattr(decoder or model.learner, "shape", ()))
    if getattr(decoder, "kind", None) == "sequence":
        dataset = read_settings(paths.params).experiments[experiment].dataset
        notes = read_json(paths.prepared(dataset) / "manifest.json")["notes"]
        longest = shape[0] - 1
        return lambda path, name: molecules(path, name, notes, longest)
    if len(shape) == 1:
        return lambda path, name: table(path, name, shape[0])
    raise ValueError(
        f"{experiment} learned from neither rows nor molecules, so no text file can be ranked; "
        "give pictures"
    )


def table(path: Path, name: str, columns: int) -> tuple[list[int], np.ndarray]:
    """Return line numbers and rows, (N, columns) float32; a first line of words is a heading.

    Raises:
        ValueError: a line has other than so many finite numbers, or there is none.
    """
    lines: list[int] = []
    rows: list[list[float]] = []
    for number, line in enumerate(read_lines_of(path, name), 1):
        fields = [field for field in re.split(r"\s*[,;\t]\s*|\s+", line.strip()) if field]
        try:
            values = [float(field) for field in fields]
        except ValueError:
            if not rows and number == 1:
                continue
            wrong = next(field for field in fields if not numeric(field))
            raise ValueError(f"{name}, line {number}: {wrong!r} is no number") from None
        if not fields:
            continue
        if len(values) != columns:
            raise ValueError(
                f"{name}, line {number} has {len(values)} numbers; the model's rows have {columns}"
            )
        if not (np.abs(values) <= np.finfo(np.float32).max).all():
            raise ValueError(
                f"{name}, line {number} has a value that is not finite, or too large: {line[:200]}"
            )
        lines.append(number)
        rows.append(values)
    if not rows:
        raise ValueError(f"{name} has no rows; give a line of {columns} numbers for each")
    return lines, np.array(rows, np.float32)


def molecules(
    path: Path, name: str, notes: dict[str, object], longest: int
) -> tuple[list[int], np.ndarray]:
    """Return line numbers and tokens, (N, longest + 1), of a file with one SMILES a line.

    Raises:
        ValueError: a line is no SMILES of one molecule, is too long, or has a symbol that the
            training molecules have not.
    """
    symbols: Symbols = notes["symbols"]  # type: ignore[assignment]
    alphabet: list[str] = notes["alphabet"]  # type: ignore[assignment]
    lines, found = [], []
    for number, line in enumerate(read_lines_of(path, name), 1):
        fields = line.split()
        if not fields or (number == 1 and fields[0].lower() == "smiles"):
            continue
        try:
            each = cut(fields[0], symbols, longest)
        except ValueError as error:
            raise ValueError(f"{name}, line {number}: {error}") from None
        strange = [symbol for symbol in each if symbol not in alphabet]
        if strange:
            raise ValueError(
                f"{name}, line {number}: {strange[0]!r} is in no training molecule, so the model "
                "has no probability for it"
            )
        lines.append(number)
        found.append(each)
    if not found:
        raise ValueError(f"{name} has no molecules; give one SMILES a line")
    return lines, encode(found, alphabet, longest)


def read_lines_of(path: Path, name: str) -> list[str]:
    """Return the lines of a user's file.

    Raises:
        ValueError: it is missing or no text.
    """
    try:
        return path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        raise ValueError(f"{name} is missing; give a text file, or pictures") from None
    except (UnicodeDecodeError, OSError):
        raise ValueError(f"{name} is no text; give a line for each item") from None


def numeric(field: str) -> bool:
    """Tell whether a field is a number."""
    try:
        float(field)
    except ValueError:
        return False
    return True
