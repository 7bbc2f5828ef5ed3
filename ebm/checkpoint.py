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


def read(path: Path) -> dict[str, Any]:
    """Return what `write` wrote, tensors on the CPU.

    Raises:
        Unreadable: the file is no checkpoint, or damaged.
    """
    content = path.read_bytes()
    head = len(MAGIC) + 65
    if not content.startswith(MAGIC):
        raise Unreadable(f"{path} is not a checkpoint of this program")
    if hashlib.sha256(content[head:]).hexdigest().encode() != content[len(MAGIC) : head - 1]:
        raise Unreadable(f"checkpoint {path} is damaged")
    try:
        state = torch.load(io.BytesIO(content[head:]), map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zipfile and torch each have their own
        raise Unreadable(
            f"checkpoint {path} holds more than tensors and plain values, or none"
        ) from error
    if not isinstance(state, dict):
        raise Unreadable(f"checkpoint {path} holds {type(state).__name__}, not a dict")
    return state
