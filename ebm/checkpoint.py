"""Checkpoints: data, never code; written whole or not at all; any damage is seen."""

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import torch

MAGIC = b"ebm checkpoint 1\n"


class Unreadable(ValueError):
    """A file that is no whole checkpoint.

    Attributes:
        fault: what is wrong with it, without the advice.
    """

    def __init__(self, fault: str) -> None:
        super().__init__(f"{fault}; remove it to start afresh")
        self.fault = fault


class Damaged(Unreadable):
    """A file that is not, byte for byte, what `write` wrote."""


def write(path: Path, state: dict[str, Any]) -> None:
    """Write a tree of tensors and plain values to a file, atomically.

    The file is the line `ebm checkpoint 1`, the sha256 of the rest, and what torch.save writes.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getvalue()
    digest = hashlib.sha256(payload).hexdigest().encode()
    temporary = path.with_name(path.name + ".part")
    with temporary.open("wb") as file:
        file.write(MAGIC + digest + b"\n" + payload)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def follow(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint in the place of the last one, which is kept beside it."""
    if path.exists():
        os.replace(path, spare(path))
    write(path, state)


def spare(path: Path) -> Path:
    """Return where the checkpoint before the last one is."""
    return path.with_name(f"before-{path.name}")


def mend(path: Path) -> str:
    """Have the last whole checkpoint in its place; return what was lost, nothing as a rule.

    A kill between the two steps of `follow` leaves only the spare one; a disk may damage either.
    What is not whole is removed, so that a run goes on from the one before it, or begins anew: it
    ends with the same bits. Where the spare one is lost, it ends so unless it has to go back there.
    """
    lost = [error.fault for place in (path, spare(path)) if (error := unlink_damaged(place))]
    if not path.exists() and spare(path).exists():
        os.replace(spare(path), path)
        whole = "the one before it serves"
    elif path.exists():
        whole = "the last one is whole; a run that breaks twice cannot go back further"
    else:
        whole = "it begins anew"
    return f"{' and '.join(lost)}: {whole}" if lost else ""


def unlink_damaged(place: Path) -> Damaged | None:
    """Remove a checkpoint that is not whole, and say what is wrong with it."""
    try:
        payload(place)
    except FileNotFoundError:
        pass
    except Damaged as error:
        place.unlink()
        return error
    return None


def payload(path: Path) -> bytes:
    """Return what torch.save wrote.

    Raises:
        Damaged: the file is not what `write` wrote.
    """
    content = path.read_bytes()
    head = len(MAGIC) + 65
    if not content.startswith(MAGIC):
        raise Damaged(f"{path} is not a checkpoint of this program")
    if hashlib.sha256(content[head:]).hexdigest().encode() != content[len(MAGIC) : head - 1]:
        raise Damaged(f"checkpoint {path} is damaged")
    return content[head:]


def read(path: Path) -> dict[str, Any]:
    """Return what `write` wrote, tensors on the CPU.

    Raises:
        Unreadable: the file is damaged, or no checkpoint.
    """
    content = payload(path)
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zipfile and torch each have their own
        raise Unreadable(
            f"checkpoint {path} holds more than tensors and plain values, or none"
        ) from error
    if not isinstance(state, dict):
        raise Unreadable(f"checkpoint {path} holds {type(state).__name__}, not a dict")
    return state
