"""The report's pictures, as data: whole files, and the chains as one sprite a grid."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

LARGEST = 400_000  # bytes of a picture that is embedded as it is; a larger one is compressed
SPRITES = 800_000  # pixels of all sprites together; beyond it fewer chains are shown


def embed(path: Path) -> dict[str, Any]:
    """Return a picture as a data URI, with its size in pixels.

    Raises:
        ValueError: the file is no picture.
        OSError: it cannot be read.
    """
    data, kind = path.read_bytes(), "png"
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            if len(data) > LARGEST:
                file = io.BytesIO()
                image.convert("RGB").save(file, "JPEG", quality=85, optimize=True)
                data, kind = file.getvalue(), "jpeg"
    except (OSError, SyntaxError) as error:
        raise ValueError(f"{path} is no picture ({error}); run its stage again") from None
    return {"uri": uri(data, kind), "width": width, "height": height}


def uri(data: bytes, kind: str) -> str:
    """Return bytes as a data URI."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def chains(
    arrays: Mapping[str, np.ndarray], steps: Mapping[int, int], keep: int
) -> list[dict[str, Any]]:
    """Return what the page plays, grid after grid from the coarsest.

    Args:
        arrays: grid_s: (states, N, C, s, s) in [-1, 1], the first state the start.
        steps: Langevin steps by grid.
        keep: steps between two states.

    Returns:
        By grid: its size, number of chains, Langevin steps, captions of the states, and a sprite
        with a row a state and a column a chain.
    """
    sizes = sorted(int(key.removeprefix("grid_")) for key in arrays)
    count = min((array.shape[1] for array in arrays.values()), default=0)
    while count > 4 and sum(array[:, :count].size for array in arrays.values()) > SPRITES:
        count = (int(count**0.5) - 1) ** 2  # a smaller square
    shown, below = [], None
    for size in sizes:
        states = arrays[f"grid_{size}"][:, :count]
        words = captions(size, below, len(states), steps.get(size), keep)
        shown.append(
            {"size": size, "chains": count, "captions": words, "sprite": uri(sprite(states), "png")}
        )
        below = size
    return shown


def captions(size: int, below: int | None, states: int, steps: int | None, keep: int) -> list[str]:
    """Say of each state where its chain stands."""
    grid = f"Grid {size} × {size}"
    if states == 1:
        return [f"{grid}: the start, drawn from the data's mean colours" if not below else grid]
    start = f"{grid}: the start, grid {below} enlarged" if below else f"{grid}: the start"
    if steps is None or states != steps // keep + 1:
        return [start, *(f"{grid}, state {k} of {states - 1}" for k in range(1, states))]
    return [start, *(f"{grid}, Langevin step {k * keep} of {steps}" for k in range(1, states))]


def sprite(states: np.ndarray) -> bytes:
    """Return states (S, N, C, s, s) in [-1, 1] as a PNG of S rows and N columns of images."""
    rows, columns, channels, height, width = states.shape
    pixels = ((np.clip(states, -1, 1) + 1) * 127.5).round().astype(np.uint8)
    sheet = pixels.transpose(0, 3, 1, 4, 2).reshape(rows * height, columns * width, channels)
    file = io.BytesIO()
    Image.fromarray(sheet[..., 0] if channels == 1 else sheet[..., :3]).save(file, "PNG")
    return file.getvalue()
