"""The report's pictures, as data: sheets of images at their own size, and whole files."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tasks.pictures import cut

LARGEST = 160_000  # bytes of a picture kept without loss; a larger one is compressed
QUALITIES = (90, 80, 65, 50)  # tried in turn until the picture is small enough


def embed(path: Path, size: int | None = None) -> dict[str, Any]:
    """Return a picture as a data URI, with its width and height in pixels.

    Args:
        size: side of the images of which the picture is a sheet. The sheet is then cut, its
            images stand at their own size, and `size`, `columns`, `rows` and `count` are added.

    Raises:
        ValueError: the file is no picture.
        OSError: it cannot be read.
    """
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
    except SyntaxError as error:
        raise ValueError(f"{path} is no picture ({error}); run its stage again") from None
    try:
        images = cut(pixels, size) if size else None
    except ValueError:
        images = None
    if images is None:
        return packed(pixels, LARGEST)
    rows, columns, side = images.shape[:3]
    joined = images.transpose(0, 2, 1, 3, 4).reshape(rows * side, columns * side, 3)
    facts = {"size": side, "columns": columns, "rows": rows, "count": filled(images)}
    return {**packed(joined, LARGEST), **facts}


def filled(images: np.ndarray) -> int:
    """Return how many places of a cut sheet hold an image: the last row may end in grey ones."""
    rows, columns = images.shape[:2]
    empty = np.ptp(images[-1].reshape(columns, -1), axis=1) == 0
    empty &= images.shape[2] > 1  # an image of one pixel looks like none
    trailing = np.cumprod(empty[::-1]).sum()
    return int(rows * columns - trailing)


def packed(pixels: np.ndarray, largest: int) -> dict[str, Any]:
    """Return pixels (H, W) or (H, W, 3) of bytes as a picture of about `largest` bytes at most."""
    height, width = pixels.shape[:2]
    image = Image.fromarray(pixels)
    data = encoded(image, lossless=True, quality=80)
    for quality in QUALITIES:
        if len(data) > largest:
            data = encoded(image, quality=quality)
    uri = f"data:image/webp;base64,{base64.b64encode(data).decode()}"
    return {"uri": uri, "width": width, "height": height}


def encoded(image: Image.Image, **options: Any) -> bytes:
    """Return an image as WebP."""
    file = io.BytesIO()
    image.save(file, "WEBP", **options)
    return file.getvalue()
