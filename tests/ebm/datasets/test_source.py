"""Sources: found in order, checked, refused by name."""

import hashlib
from pathlib import Path

import pytest

from ebm.datasets import LOADERS, loader
from ebm.datasets.source import Source, fetch

CONTENT = b"some data\n"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def source(**changes: object) -> Source:
    fields = {"title": "Toy", "licence": "CC0", "credit": "nobody", "files": {"toy.bin": DIGEST}}
    return Source(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.fixture
def benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in the folder that EBM_DATA names."""
    file = tmp_path / "benchmarks" / "toy" / "toy.bin"
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT)
    monkeypatch.setenv("EBM_DATA", str(tmp_path / "benchmarks"))
    return file


def test_file_is_taken_from_the_benchmark_folder(benchmark: Path, tmp_path: Path) -> None:
    fetch(source(folder="toy"), tmp_path)
    assert (tmp_path / "toy.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT.upper(), b""])
def test_truncated_or_altered_file_is_refused_by_name(
    benchmark: Path, tmp_path: Path, content: bytes
) -> None:
    benchmark.write_bytes(content)
    with pytest.raises(ValueError, match=r"toy\.bin is truncated or altered"):
        fetch(source(folder="toy"), tmp_path)


def test_missing_file_says_where_it_may_be_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EBM_DATA", raising=False)
    with pytest.raises(ValueError, match=r"toy\.bin of Toy is missing: .*toy under EBM_DATA"):
        fetch(source(folder="toy"), tmp_path)


def test_package_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="install the package no_such_package"):
        fetch(source(package="no_such_package"), tmp_path)


def test_address_is_used_last_and_its_answer_checked(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "toy.bin").write_bytes(CONTENT)
    (tmp_path / "raw").mkdir()
    address = (tmp_path / "server").as_uri()
    fetch(source(address=address), tmp_path / "raw")
    assert (tmp_path / "raw" / "toy.bin").read_bytes() == CONTENT
    (tmp_path / "server" / "toy.bin").write_bytes(b"other")
    with pytest.raises(ValueError, match="truncated or altered"):
        fetch(source(address=address), tmp_path / "raw")


def test_address_without_answer_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    address = (tmp_path / "nowhere").as_uri()
    with pytest.raises(ValueError, match="nowhere/toy.bin could not be fetched"):
        fetch(source(address=address), tmp_path)
    assert not (tmp_path / "toy.bin").exists()


@pytest.mark.parametrize("name", LOADERS)
def test_every_source_is_declared_in_full(name: str) -> None:
    module = loader(name)
    declared: Source = module.SOURCE
    assert declared.title and declared.licence and declared.credit and declared.files
    assert all(len(digest) == 64 for digest in declared.files.values())
    assert isinstance(module.REVISION, int) and callable(module.load)


def test_unknown_source_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="no data source 'digit'; did you mean digits"):
        loader("digit")
    with pytest.raises(ValueError, match="there are digits"):
        loader("xyz")
