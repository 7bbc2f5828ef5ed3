"""Sheets of images as PNG files, at a size a person can read."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tasks.vision import make_grid

SIDE = 640  # pixels of a sheet's side, about
HIDDEN = (-0.1, 0.3, 0.8)  # the colour of a hidden pixel in a picture: no grey
GAP, GREY = 2, 128  # between two images of a sheet: pixels, and their value


def sheet(images: np.ndarray, path: Path, columns: int = 10, side: int = SIDE) -> None:
    """Write images (N, C, H, W) in [-1, 1] as one picture, row by row, pixels enlarged whole."""
    scale = max(1, side // (columns * (images.shape[-1] + 1)))
    large = torch.from_numpy(np.ascontiguousarray(images)).float()
    large = large.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    grid = make_grid(large.clamp(-1, 1) / 2 + 0.5, nrow=columns, padding=GAP, pad_value=0.5)
    pixels = (grid.permute(1, 2, 0) * 255).round().byte().numpy()
    Image.fromarray(pixels).save(path, optimize=True)


def cut(sheet: np.ndarray, size: int) -> np.ndarray:
    """Return the images of a sheet as they were before they were enlarged, row by row.

    Args:
        sheet: (H, W, 3) of bytes, as `sheet` writes it.
        size: pixels of an image's side.

    Returns:
        (rows, columns, size, size, 3); places without an image stay grey.

    Raises:
        ValueError: it is no sheet of such images.
    """
    height, width = sheet.shape[:2]
    # The smallest that fits: lines stand between twos and threes of the images as well.
    for scale in range(1, min(height, width) // size + 1):
        tile = size * scale
        if (height - GAP) % (tile + GAP) or (width - GAP) % (tile + GAP) or not lined(sheet, tile):
            continue
        starts = [np.arange(GAP, side, tile + GAP) for side in (height, width)]
        down, across = ((s[:, None] + np.arange(size) * scale).ravel() for s in starts)
        images = sheet[np.ix_(down, across)]
        if not np.array_equal(images, sheet[np.ix_(down + scale - 1, across + scale - 1)]):
            continue
        images = images.reshape(len(starts[0]), size, len(starts[1]), size, 3)
        return images.transpose(0, 2, 1, 3, 4)
    raise ValueError(f"{width} x {height} pixels are no sheet of images of {size} x {size}")


def lined(sheet: np.ndarray, tile: int) -> bool:
    """Tell whether grey lines part the tiles of a sheet."""
    down, across = (np.arange(side) % (tile + GAP) < GAP for side in sheet.shape[:2])
    return bool((sheet[down] == GREY).all() and (sheet[:, across] == GREY).all())


def masked(images: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Return images (N, C, H, W) in colour, (N, 3, H, W), with what is not visible in one colour.

    Args:
        visible: boolean, (N, 1, H, W).
    """
    return np.where(visible, images, np.array(HIDDEN, dtype=np.float32)[:, None, None])
