"""Molecules: cut into symbols and back, or refused by file and line."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebm.datasets.smiles import (
    SYMBOL,
    Options,
    atoms,
    cut_lines,
    encode,
    loaded,
    read_lines,
    texts,
)

SMILES = ["CC(=O)O", "C[C@@H](N)C(=O)[O-]", "c1ccc2[nH]ccc2c1", "ClCCBr", "F/C=C\\F"]
PIECES = ["C", "c", "N", "Cl", "Br", "[nH]", "[C@@H]", "[O-]", "(", ")", "=", "#", "1", "%12", "/"]


def options(symbols: str = "characters", longest: int = 40, items: int = 9) -> Options:
    return Options.model_validate({"symbols": symbols, "longest": longest, "items": items})


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=30))
def test_atoms_are_the_pieces_that_a_smiles_was_put_together_of(pieces: list[str]) -> None:
    assert atoms("".join(pieces)) == pieces


@settings(deadline=None)
@given(st.text(max_size=30))
def test_any_text_is_cut_or_refused_in_one_sentence_with_its_line(text: str) -> None:
    try:
        (found,) = cut_lines([text], options("atoms"), "file", first=7)
    except ValueError as error:
        assert str(error).startswith("file, line 7: ") and "\n" not in str(error)
    else:
        assert "".join(found) == text and all(SYMBOL.fullmatch(each) for each in found)


@pytest.mark.parametrize("symbols", ["characters", "atoms"])
@settings(deadline=None)
@given(molecules=st.lists(st.sampled_from(SMILES), min_size=1, max_size=6))
def test_tokens_come_back_as_the_same_smiles(symbols: str, molecules: list[str]) -> None:
    chosen = options(symbols)
    x, labels, test, notes, bounds, _ = loaded(
        cut_lines(molecules, chosen, "file"), chosen, np.arange(1)
    )
    assert x.shape == (len(molecules), 41) and x.dtype == np.uint8
    assert not labels.any() and labels.dtype == np.int64 and test.tolist() == [0]
    assert ((x == 1).sum(1) == 1).all() and x.max() <= bounds[1]
    assert texts(x, notes["alphabet"], notes["symbols"]) == molecules


def test_code_of_a_symbol_is_its_place_in_the_alphabet_and_two() -> None:
    x = encode([["O", "C"], ["C"]], ["C", "O"], 3)
    assert x.tolist() == [[3, 2, 1, 0], [2, 1, 0, 0]]


def test_selfies_come_back_as_the_same_molecule() -> None:
    selfies = pytest.importorskip("selfies")
    chem = pytest.importorskip("rdkit.Chem")
    chosen = options("selfies")
    x, _, _, notes, *_ = loaded(cut_lines(SMILES, chosen, "file"), chosen, np.arange(1))
    assert set(notes["alphabet"]) <= {*selfies.get_semantic_robust_alphabet(), *notes["alphabet"]}
    back = texts(x, notes["alphabet"], "selfies")
    assert [chem.CanonSmiles(each) for each in back] == [chem.CanonSmiles(each) for each in SMILES]


@pytest.mark.parametrize("line", ["B11", "CC(C)(C)(C)C"])
def test_molecule_without_selfies_is_refused(line: str) -> None:
    pytest.importorskip("selfies")
    with pytest.raises(ValueError, match="file, line 1: .* has no SELFIES \\("):
        cut_lines([line], options("selfies"), "file")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "it is empty; each line must be a SMILES"),
        ("CCO.Cl", "'CCO.Cl' has a '.', so it is a salt or a mixture"),
        ("CCQC", "'CCQC' has 'Q' as character 3, where a SMILES cannot have it"),
        ("CC O", "has ' ' as character 3"),
        ("C[C@@H", "has '\\[' as character 2"),
        ("C" * 41, "has 41 symbols; longest is 40"),
        ("C" * 100_000, "it has 100000 characters; longest is 40 symbols"),
    ],
)
def test_line_that_is_no_molecule_is_refused_by_its_number(line: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"file, line 3: .*{why}"):
        cut_lines(["CC", "CCO", line], options(), "file")


def test_more_kinds_of_symbols_than_a_byte_holds_are_refused() -> None:
    many = [[f"[{number}C]"] for number in range(255)]
    with pytest.raises(ValueError, match="there are 255 kinds of symbols; 254 is the most"):
        loaded(many, options(), np.arange(1))


def test_lines_of_a_file_are_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("CC\nCO\n")
    assert read_lines(path, "fetch@mine") == ["CC", "CO"]
    path.write_bytes(b"CC\nC\xc3\xa9\n")
    with pytest.raises(ValueError, match="file, line 2: a byte is no ASCII"):
        read_lines(path, "fetch@mine")
    path.write_text("")
    with pytest.raises(ValueError, match="file is empty; it must have one SMILES a line"):
        read_lines(path, "fetch@mine")
    path.unlink()
    with pytest.raises(ValueError, match="file is missing; run the stage fetch@mine again"):
        read_lines(path, "fetch@mine")
