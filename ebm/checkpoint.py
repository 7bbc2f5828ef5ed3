"""Checkpoints: data, never code; written whole or not at all; any damage is seen."""

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import torch

MAGIC = b"ebm checkpoint 1\n"


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
        ValueError: the file is no checkpoint, or damaged.
    """
    content = path.read_bytes()
    head = len(MAGIC) + 65
    if not content.startswith(MAGIC):
        raise ValueError(f"{path} is not a checkpoint of this program; remove it to start afresh")
    if hashlib.sha256(content[head:]).hexdigest().encode() != content[len(MAGIC) : head - 1]:
        raise ValueError(f"checkpoint {path} is damaged; remove it to start afresh")
    try:
        state = torch.load(io.BytesIO(content[head:]), map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zipfile and torch each have their own
        raise ValueError(
            f"checkpoint {path} holds more than tensors and plain values, or none; it is not used"
        ) from error
    if not isinstance(state, dict):
        raise ValueError(f"checkpoint {path} holds {type(state).__name__}; it must hold a dict")
    return state
