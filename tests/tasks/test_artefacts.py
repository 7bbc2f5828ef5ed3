"""Artefacts are whole or not there, and an old one stays until the new one is."""

import errno
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tasks.artefacts import load_arrays, new_folder, read_json, save_arrays, write_json, write_text


def test_folder_takes_its_place_only_when_it_is_full(tmp_path: Path) -> None:
    place = tmp_path / "deep" / "folder"
    with new_folder(place) as folder:
        (folder / "a").write_text("1")
        assert not place.exists()
    assert (place / "a").read_text() == "1"
    assert os.listdir(place.parent) == ["folder"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failure_leaves_the_old_folder(tmp_path: Path, error: type[BaseException]) -> None:
    with new_folder(tmp_path / "folder") as folder:
        (folder / "old").write_text("1")
    with pytest.raises(error), new_folder(tmp_path / "folder") as folder:
        (folder / "new").write_text("2")
        raise error
    assert os.listdir(tmp_path) == ["folder"]
    assert os.listdir(tmp_path / "folder") == ["old"]


def test_new_folder_holds_nothing_of_the_old_or_of_a_killed_run(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").touch()
    (tmp_path / ".folder.part").mkdir()
    (tmp_path / ".folder.part" / "half").touch()
    with new_folder(tmp_path / "folder") as folder:
        (folder / "new").touch()
    assert os.listdir(tmp_path / "folder") == ["new"]


def test_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text(tmp_path / "file", "old")

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_text(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_two_writers_leave_one_whole_file_and_nothing_else(tmp_path: Path) -> None:
    path, texts = tmp_path / "index.html", ["a" * 200_000, "b" * 100_000]
    write_text(path, texts[0])
    torn: list[int] = []
    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(write_text, path, text) for text in texts * 20]
        while not all(each.done() for each in done):
            found = path.read_text()
            if found not in texts:
                torn.append(len(found))
    assert not torn and [each.result() for each in done] == [None] * 40
    assert list(tmp_path.iterdir()) == [path]


def test_value_that_is_no_json_leaves_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": 1.5})
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert read_json(tmp_path / "a.json") == {"x": 1.5}


def test_damaged_json_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"x": ')
    with pytest.raises(ValueError, match=r"a\.json is not JSON \(line 1"):
        read_json(tmp_path / "a.json")


def test_same_arrays_give_the_same_bytes_and_come_back(tmp_path: Path) -> None:
    arrays = {"x": np.arange(6.0).reshape(2, 3), "y": np.array([1, 2])}
    for name in ("a.npz", "b.npz"):
        save_arrays(tmp_path / name, **arrays)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    for name, value in load_arrays(tmp_path / "a.npz").items():
        assert np.array_equal(value, arrays[name])


def test_missing_and_truncated_arrays_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.npz is missing"):
        load_arrays(tmp_path / "a.npz")
    save_arrays(tmp_path / "a.npz", x=np.zeros(100))
    content = (tmp_path / "a.npz").read_bytes()
    for keep in (0, 20, len(content) // 2):
        (tmp_path / "a.npz").write_bytes(content[:keep])
        with pytest.raises(ValueError, match=r"a\.npz cannot be read"):
            load_arrays(tmp_path / "a.npz")


def test_altered_arrays_are_refused_by_name(tmp_path: Path) -> None:
    save_arrays(tmp_path / "a.npz", x=np.zeros(100))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[300] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npz cannot be read"):
        load_arrays(tmp_path / "a.npz")


def test_pickled_objects_are_not_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match=r"a\.npz cannot be read"):
        load_arrays(tmp_path / "a.npz")


def test_archive_of_arrays_holds_no_mark_of_the_release_of_python(tmp_path: Path) -> None:
    save_arrays(tmp_path / "a.npz", x=np.zeros(3))
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        for entry in archive.infolist():
            assert (entry.date_time, entry.extract_version) == ((1980, 1, 1, 0, 0, 0), 20)
