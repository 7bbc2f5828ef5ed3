"""The report's chains: what they looked like step by step, as one sprite a grid."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tasks.report.pictures import packed

VALUES = 2_000_000  # of all sprites together; beyond it fewer chains, then fewer states are shown
LARGEST = 350_000  # bytes of a sprite
FEWEST = 4  # chains


def chains(
    arrays: Mapping[str, np.ndarray], steps: Mapping[int, int], keep: int
) -> list[dict[str, Any]]:
    """Return what the page plays, grid after grid from the coarsest.

    Args:
        arrays: grid_s: (states, N, C, s, s) in [-1, 1], the first state the start.
        steps: Langevin steps by grid.
        keep: steps between two states.

    Returns:
        By grid: its size, number of chains, captions of the states, and a sprite with a row a
        state and a column a chain.
    """
    sizes = sorted(int(key.removeprefix("grid_")) for key in arrays)
    every = {size: arrays[f"grid_{size}"] for size in sizes}
    count, stride = thinned(every)
    shown, below = [], None
    for size, states in every.items():
        words = captions(size, below, len(states), steps.get(size), keep)
        kept = [*range(0, len(states) - 1, stride), len(states) - 1]
        picture = packed(sprite(states[kept, :count]), LARGEST)
        found = {"size": size, "chains": count, "captions": [words[k] for k in kept]}
        shown.append({**found, "sprite": picture["uri"]})
        below = size
    return shown


def thinned(arrays: Mapping[int, np.ndarray]) -> tuple[int, int]:
    """Return how many chains are shown, and each how-many-th of their states, the last always."""
    count = min((array.shape[1] for array in arrays.values()), default=0)
    values = sum(array[:, :1].size for array in arrays.values())
    while count > FEWEST and count * values > VALUES:
        count = (int(count**0.5) - 1) ** 2  # a smaller square
    return count, max(1, -(-count * values // VALUES))


def captions(size: int, below: int | None, states: int, steps: int | None, keep: int) -> list[str]:
    """Say of each state where its chain stands."""
    grid = f"Grid {size} × {size}"
    if states == 1:
        return [f"{grid}: the start, drawn from the data's mean colours" if not below else grid]
    start = f"{grid}: the start, grid {below} enlarged" if below else f"{grid}: the start"
    if steps is None or states not in (steps // keep + 1, -(-steps // keep) + 1):
        return [start, *(f"{grid}, state {k} of {states - 1}" for k in range(1, states))]
    return [
        start,
        *(f"{grid}, Langevin step {min(k * keep, steps)} of {steps}" for k in range(1, states)),
    ]


def sprite(states: np.ndarray) -> np.ndarray:
    """Return states (S, N, C, s, s) in [-1, 1] as bytes, S rows and N columns of images.

    Returns:
        (S s, N s) of grey images, (S s, N s, 3) of coloured ones.
    """
    rows, columns, channels, height, width = states.shape
    pixels = ((np.clip(states, -1, 1) + 1) * 127.5).round().astype(np.uint8)
    sheet = pixels.transpose(0, 3, 1, 4, 2).reshape(rows * height, columns * width, channels)
    return sheet[..., 0] if channels == 1 else sheet[..., :3]
