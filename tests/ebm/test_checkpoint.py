"""Checkpoints: data, whole, or refused by name."""

import errno
import hashlib
import io
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from ebm import checkpoint
from ebm.checkpoint import MAGIC, Unreadable, follow, mend, read, spare, write

STATE = {
    "step": 3,
    "names": ["a"],
    "x": torch.arange(6.0).reshape(2, 3),
    "deep": {"y": [1.5, None]},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "state.pt", STATE)
    return tmp_path / "state.pt"


def test_what_is_read_is_what_was_written(path: Path) -> None:
    state = read(path)
    assert torch.equal(state.pop("x"), STATE["x"])
    assert state == {key: value for key, value in STATE.items() if key != "x"}


def test_same_state_gives_the_same_bytes(path: Path) -> None:
    first = path.read_bytes()
    write(path, STATE)
    assert path.read_bytes() == first


@pytest.mark.parametrize("keep", [0, 5, len(MAGIC), len(MAGIC) + 30, len(MAGIC) + 65, -200, -1])
def test_truncated_file_is_refused_by_name(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="state.pt"):
        read(path)


@pytest.mark.parametrize("at", [3, len(MAGIC) + 4, len(MAGIC) + 80, -5])
def test_altered_byte_is_refused_by_name(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"state\.pt.*(damaged|not a checkpoint)"):
        read(path)


def test_foreign_file_is_refused_by_name(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "foreign.pt")
    with pytest.raises(ValueError, match=r"foreign\.pt is not a checkpoint of this program"):
        read(tmp_path / "foreign.pt")


class Evil:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.target),)


def seal(payload: bytes) -> bytes:
    return MAGIC + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload


def test_pickled_code_is_refused_and_not_run(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"x": Evil(tmp_path / "pwned")}, buffer)
    (tmp_path / "evil.pt").write_bytes(seal(buffer.getvalue()))
    with pytest.raises(ValueError, match=r"evil\.pt holds more than tensors"):
        read(tmp_path / "evil.pt")
    assert not (tmp_path / "pwned").exists()


def test_sealed_emptiness_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "empty.pt").write_bytes(seal(b""))
    with pytest.raises(ValueError, match=r"empty\.pt"):
        read(tmp_path / "empty.pt")


def test_full_disk_leaves_the_old_checkpoint(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(path, {"step": 4})
    assert read(path)["step"] == 3


def test_fault_is_told_without_the_advice_too(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Unreadable, match="damaged; remove it to start afresh") as caught:
        read(path)
    assert caught.value.fault == f"checkpoint {path} is damaged"


@pytest.fixture
def two(tmp_path: Path) -> Path:
    for step in (1, 2):
        follow(tmp_path / "state.pt", {"step": step})
    return tmp_path / "state.pt"


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-7] ^= 4
    path.write_bytes(content)


def test_checkpoint_before_the_last_stays_beside_it(two: Path) -> None:
    assert (read(two)["step"], read(spare(two))["step"]) == (2, 1)
    assert mend(two) == ""
    assert read(two)["step"] == 2


def test_damaged_checkpoint_gives_way_to_the_one_before_it(two: Path) -> None:
    flip(two)
    assert mend(two) == f"checkpoint {two} is damaged: the one before it serves"
    assert read(two)["step"] == 1
    assert mend(two) == ""


def test_kill_between_the_two_steps_of_a_write_costs_one_checkpoint(two: Path) -> None:
    two.rename(spare(two))
    assert mend(two) == ""
    assert read(two)["step"] == 2


def test_damage_to_both_begins_anew(two: Path) -> None:
    flip(two)
    spare(two).write_bytes(b"")
    assert mend(two).endswith("is not a checkpoint of this program: it begins anew")
    assert not two.exists()
    assert not spare(two).exists()
    assert mend(two) == ""


def test_damage_to_the_spare_one_alone_is_told_and_costs_the_way_back(two: Path) -> None:
    flip(spare(two))
    assert mend(two).endswith("a run that breaks twice cannot go back further")
    assert read(two)["step"] == 2 and not spare(two).exists()
    assert mend(two) == ""


def test_full_disk_leaves_a_whole_checkpoint(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        follow(two, {"step": 3})
    assert mend(two) == ""
    assert read(two)["step"] == 2
