"""The digits: whole, in range, or refused by name."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ebm.datasets.digits import load


def put(folder: Path, text: str) -> Path:
    with gzip.open(folder / "digits.csv.gz", "wt") as file:
        file.write(text)
    return folder


def line(pixel: str = "3", label: str = "5", columns: int = 64) -> str:
    return ",".join([pixel] * columns + [label]) + "\n"


def test_digits_are_those_of_scikit_learn(raw_digits: Path) -> None:
    images, labels, test, notes, *_ = load(raw_digits)
    right = load_digits()
    assert images.shape == (1797, 1, 8, 8) and images.dtype == np.float32
    assert labels.dtype == np.int64 and test is None and not notes
    assert np.array_equal((images[:, 0] + 1) * 8, right.images)
    assert np.array_equal(labels, right.target)


def test_missing_file_is_named_with_the_stage_that_brings_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"digits\.csv\.gz is missing; run the stage fetch@digits"):
        load(tmp_path)


@pytest.mark.filterwarnings("ignore:loadtxt")
@pytest.mark.parametrize("keep", [0, 10, 5000])
def test_truncated_file_is_refused_by_name(raw_digits: Path, tmp_path: Path, keep: int) -> None:
    content = (raw_digits / "digits.csv.gz").read_bytes()
    (tmp_path / "digits.csv.gz").write_bytes(content[:keep])
    with pytest.raises(ValueError, match=r"digits\.csv\.gz"):
        load(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b\n",
        line(columns=63),
        line(pixel="17"),
        line(pixel="-1"),
        line(pixel="nan"),
        line(label="10"),
        line(label="2.5"),
    ],
)
@pytest.mark.filterwarnings("ignore:loadtxt")
def test_altered_table_is_refused_by_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"digits\.csv\.gz"):
        load(put(tmp_path, text))


def test_right_table_is_read(tmp_path: Path) -> None:
    images, labels, *_ = load(put(tmp_path, line() * 2))
    assert np.array_equal(images, np.full((2, 1, 8, 8), 3 / 8 - 1, np.float32))
    assert labels.tolist() == [5, 5]
