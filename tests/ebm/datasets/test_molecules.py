"""ZINC250k and MOSES: their parts in order, or refused by name."""

import json
from pathlib import Path

import numpy as np
import pytest

from ebm.datasets import moses, zinc250k
from ebm.datasets.smiles import Options, texts

LINES = ["C", "CC", "CCC", "CCO", "CCN", "CCCl"]


def options(items: int) -> Options:
    return Options(symbols="characters", longest=5, items=items)


@pytest.fixture
def zinc(tmp_path: Path) -> Path:
    (tmp_path / "zinc250k.smi").write_text("\n".join(LINES) + "\n")
    part = {"jtvae": {"test_first_n": 2, "valid_idx": [4]}}
    (tmp_path / "splits.json").write_text(json.dumps(part))
    return tmp_path


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    (tmp_path / "train.csv").write_text("SMILES\n" + "\n".join(LINES) + "\n")
    (tmp_path / "test.csv").write_text("SMILES\nOC\n")
    return tmp_path


def test_zinc_keeps_its_official_parts_and_the_first_of_the_others(zinc: Path) -> None:
    x, labels, test, notes, bounds, validation = zinc250k.load(zinc, options(2))
    assert texts(x, notes["alphabet"], "characters") == ["C", "CC", "CCC", "CCO", "CCN"]
    assert test.tolist() == [0, 1] and validation is not None and validation.tolist() == [4]
    assert notes["alphabet"] == ["C", "N", "O"] and bounds == (0.0, 4.0) and len(labels) == 5


def test_zinc_that_is_damaged_is_refused(zinc: Path) -> None:
    with pytest.raises(ValueError, match=r"options.items is 4; .*zinc250k.smi has 3 to train on"):
        zinc250k.load(zinc, options(4))
    (zinc / "splits.json").write_text('{"jtvae": {"test_first_n": 2, "valid_idx": [6]}}')
    with pytest.raises(ValueError, match=r"splits.json names rows 0 to 6; each of 0..5 may be"):
        zinc250k.load(zinc, options(2))
    (zinc / "splits.json").write_text("{}")
    with pytest.raises(ValueError, match=r"splits.json cannot be read as splits"):
        zinc250k.load(zinc, options(2))
    (zinc / "splits.json").unlink()
    with pytest.raises(ValueError, match="splits.json is missing; run the stage fetch@zinc250k"):
        zinc250k.load(zinc, options(2))


def test_moses_has_the_first_training_molecules_and_then_the_test_part(sets: Path) -> None:
    x, _, test, notes, *_ = moses.load(sets, options(3))
    assert texts(x, notes["alphabet"], "characters") == ["C", "CC", "CCC", "OC"]
    assert np.array_equal(test, [3])


def test_moses_that_is_damaged_is_refused(sets: Path) -> None:
    with pytest.raises(ValueError, match=r"options.items is 7; .*train.csv has 6 molecules"):
        moses.load(sets, options(7))
    (sets / "test.csv").write_text("SMILES\nCC\nC.C\n")
    with pytest.raises(ValueError, match=r"test.csv, line 3: 'C.C' has a '.', so it is a salt"):
        moses.load(sets, options(3))
    (sets / "train.csv").write_text("smiles\nCC\n")
    with pytest.raises(ValueError, match=r"train.csv, line 1: it is 'smiles'; it must be SMILES"):
        moses.load(sets, options(3))
