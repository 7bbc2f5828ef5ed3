"""Molecules as SMILES: read strictly, cut into symbols, and held as rows of tokens.

A molecule is a row x of whole numbers, (L,): symbol k of the alphabet is k + 2, END closes it, and
BLANK fills the row. The symbols are single characters, as in the paper; or atoms, where what stands
in brackets, Cl and Br are one symbol each; or SELFIES, whose every sequence is some molecule.

It has no REVISION of its own: those of zinc250k.py and moses.py stand for what is done here.

Sources: Weininger, Journal of Chemical Information and Computer Sciences 28, 1988 (SMILES); Krenn,
Hase, Nigam, Friederich and Aspuru-Guzik, arXiv 1905.13741 (SELFIES).
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from ebm.datasets.loaded import Loaded, Tell, silent
from ebm.settings import Settings

Symbols = Literal["characters", "atoms", "selfies"]

BLANK, END, FIRST = 0, 1, 2  # as ebm/networks/sequence.py has them; the alphabet's first code

# Outside of brackets the organic subset, bonds, branches and rings; inside, in this order, isotope,
# element, chirality, hydrogens and charge.
BRACKET = r"\[\d*(?:[A-Z][a-z]?|[bcnops]|se|as|te)@{0,2}(?:H\d?)?(?:\+\d?|-\d?|\+\+|--)?\]"
SYMBOL = re.compile(rf"{BRACKET}|Br|Cl|%\d\d|[BCNOPSFIbcnops\d()=#$:/\\-]")
WIDEST = 254  # kinds of symbols that a byte can tell apart


class Options(Settings):
    """How molecules are cut into symbols, and how many there are."""

    symbols: Symbols = Field(description="characters, atoms (with their brackets), or selfies")
    longest: int = Field(ge=1, description="symbols of a molecule; longer ones are refused")
    items: int = Field(ge=1, description="molecules of the training part, the first ones")


def read_lines(path: Path, stage: str) -> list[str]:
    """Return the lines of a text file.

    Args:
        path: the file.
        stage: what brings it, for the error.

    Raises:
        ValueError: it is missing or no text, or has no lines.
    """
    try:
        lines = path.read_text("ascii").split("\n")
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; run the stage {stage} again") from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise ValueError(f"{path}, line {line}: a byte is no ASCII; SMILES are ASCII") from None
    lines = lines[:-1] if lines[-1] == "" else lines
    if not lines:
        raise ValueError(f"{path} is empty; it must have one SMILES a line")
    return lines


def atoms(smiles: str) -> list[str]:
    r"""Return the symbols of a SMILES, brackets whole.

    Raises:
        ValueError: it is empty or too strange to be one molecule's SMILES; no line is named.

    >>> atoms("C[C@@H](Br)c1ccccc1")
    ['C', '[C@@H]', '(', 'Br', ')', 'c', '1', 'c', 'c', 'c', 'c', 'c', '1']
    """
    if not smiles.strip():
        raise ValueError("it is empty; each line must be a SMILES")
    if "." in smiles:
        raise ValueError(
            f"{short(smiles)} has a '.', so it is a salt or a mixture; give one molecule a line"
        )
    found = SYMBOL.findall(smiles)
    if (good := "".join(found)) != smiles:
        pairs = enumerate(zip(good, smiles, strict=False))
        place = next((i for i, (a, b) in pairs if a != b), len(good))
        raise ValueError(
            f"{short(smiles)} has {smiles[place]!r} as character {place + 1}, where a SMILES "
            "cannot have it"
        )
    return found


def short(smiles: str) -> str:
    """Return a SMILES as an error quotes it, its first 60 characters."""
    return repr(smiles if len(smiles) <= 60 else f"{smiles[:60]}...")


def cut(smiles: str, symbols: Symbols, longest: int) -> list[str]:
    """Return the symbols of a molecule.

    Raises:
        ValueError: it is no SMILES of one molecule, or too long; no line is named.
    """
    if len(smiles) > 20 * longest:  # too long, whatever its symbols are
        raise ValueError(f"it has {len(smiles)} characters; longest is {longest} symbols")
    found = atoms(smiles)
    if symbols == "characters":
        found = list(smiles)
    elif symbols == "selfies":
        found = selfies_of(smiles)
    if len(found) > longest:
        raise ValueError(f"{short(smiles)} has {len(found)} symbols; longest is {longest}")
    return found


def selfies_of(smiles: str) -> list[str]:
    """Return the symbols of a molecule's SELFIES."""
    import selfies

    try:
        return list(selfies.split_selfies(selfies.encoder(smiles)))
    except Exception as error:  # its own, and bare ones: B11, a ring of one atom, is an IndexError
        why = (str(error).strip() or "the package selfies cannot write it").splitlines()[0]
        raise ValueError(f"{short(smiles)} has no SELFIES ({why})") from None


def cut_lines(
    lines: Sequence[str], options: Options, where: object, first: int = 1, tell: Tell = silent
) -> list[list[str]]:
    """Return the symbols of each line.

    Args:
        lines: one SMILES each.
        options: how they are cut.
        where: the file, for errors.
        first: number of the first line in it.
        tell: is told how many are done.

    Raises:
        ValueError: a line is no SMILES of one molecule, or too long; the line is named.
    """
    found = []
    for number, line in enumerate(lines, first):
        try:
            found.append(cut(line, options.symbols, options.longest))
        except ValueError as error:
            raise ValueError(f"{where}, line {number}: {error}") from None
        if len(found) % 10_000 == 0 or len(found) == len(lines):
            tell(len(found), len(lines))
    return found


def loaded(
    molecules: Sequence[Sequence[str]],
    options: Options,
    test: np.ndarray,
    validation: np.ndarray | None = None,
) -> Loaded:
    """Return molecules as tokens x, (N, longest + 1) uint8, their labels all 0.

    Args:
        molecules: the symbols of each.
        options: how they were cut.
        test, validation: rows of the official parts.

    Raises:
        ValueError: there are more kinds of symbols than a byte can tell apart.
    """
    alphabet = sorted({symbol for each in molecules for symbol in each})
    if len(alphabet) > WIDEST:
        raise ValueError(f"there are {len(alphabet)} kinds of symbols; {WIDEST} is the most")
    notes = {"alphabet": alphabet, "symbols": options.symbols}
    x = encode(molecules, alphabet, options.longest)
    bounds = (0.0, float(len(alphabet) + FIRST - 1))
    return Loaded(x, np.zeros(len(x), np.int64), test, notes, bounds, validation)


def encode(molecules: Sequence[Sequence[str]], alphabet: list[str], longest: int) -> np.ndarray:
    """Return the tokens of molecules, (N, longest + 1) uint8."""
    code = {symbol: number for number, symbol in enumerate(alphabet, FIRST)}
    x = np.full((len(molecules), longest + 1), BLANK, np.uint8)
    for row, symbols in zip(x, molecules, strict=True):
        row[: len(symbols) + 1] = [*(code[symbol] for symbol in symbols), END]
    return x


def texts(x: Iterable[Sequence[int]], alphabet: Sequence[str], symbols: Symbols) -> list[str]:
    """Return the SMILES of tokens x: (N, L); a row without END is cut off, and gives "".

    >>> texts([[2, 3, 1, 0], [2, 2, 2, 2]], ["C", "O"], "characters")
    ['CO', '']
    """
    found = []
    for row in x:
        codes = list(map(int, row))
        end = codes.index(END) if END in codes else 0
        found.append("".join(alphabet[code - FIRST] for code in codes[:end]))
    if symbols != "selfies":
        return found
    import selfies

    return [selfies.decoder(each) for each in found]
