"""The idx files of MNIST and of the sets that take its form.

It has no REVISION of its own: those of mnist.py and fashion.py stand for what is done here.

Reference: LeCun, Cortes and Burges, the MNIST database of handwritten digits, 1998.
"""

import math
from pathlib import Path

import numpy as np
from pydantic import Field

from ebm.datasets.loaded import Loaded, checked_labels
from ebm.settings import Settings

CLASSES = 10  # of MNIST and of the sets that take its form
UINT8 = 8  # the idx code of unsigned bytes


class Options(Settings):
    """Size and amount of the images."""

    size: int = Field(ge=1, description="side; the border around the picture is -1, as its ground")
    items: int = Field(ge=1, description="images of the official training part, the first ones")


def read_idx(path: Path) -> np.ndarray:
    """Return the array of an idx file of unsigned bytes.

    The file is 0, 0, the type, the number of axes, each axis' length in four bytes, big end first,
    and the values.

    Raises:
        ValueError: the file is missing, truncated, too long, or holds anything else.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; run its fetch stage again") from None
    if len(content) < 4 or content[:3] != bytes([0, 0, UINT8]):
        raise ValueError(f"{path} is no idx file of bytes: it begins with {content[:4].hex(' ')}")
    start = 4 + 4 * content[3]
    shape = [int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4)]
    if len(content) != start + math.prod(shape):
        raise ValueError(
            f"{path} has {len(content)} bytes; an idx file of shape {tuple(shape)} has "
            f"{start + math.prod(shape)}, so it is truncated or altered"
        )
    try:
        return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
    except ValueError:  # of no bytes, and axes that are too many or too long beside one of 0
        raise ValueError(f"{path} is of shape {tuple(shape)}, which no array can have") from None


def files(part: str, images: str, labels: str) -> dict[str, str]:
    """Return the sha256 of the two files of a part, by their names.

    >>> list(files("t10k", "", ""))
    ['t10k-images-idx3-ubyte', 't10k-labels-idx1-ubyte']
    """
    return {f"{part}-images-idx3-ubyte": images, f"{part}-labels-idx1-ubyte": labels}


def read_part(raw: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images (N, H, W) and labels (N,) of a part, bytes as they are in the files."""
    paths = [raw / name for name in files(part, "", "")]
    images, labels = map(read_idx, paths)
    if images.ndim != 3 or images.shape[1] != images.shape[2] or labels.shape != images.shape[:1]:
        raise ValueError(
            f"{paths[0]} has shape {images.shape} and {paths[1].name} {labels.shape}; "
            "they must be (N, side, side) and (N,)"
        )
    return images, checked_labels(labels, CLASSES, paths[1])


def load_parts(raw: Path, train: str, options: Options) -> Loaded:
    """Return the training part, cut to `items`, and after it the whole official test part.

    Args:
        raw: the folder of the four files.
        train: what the names of the two training files begin with.
        options: size and amount.

    Raises:
        ValueError: a file is damaged, or there are fewer images than asked for.
    """
    (images, labels), (test_images, test_labels) = read_part(raw, train), read_part(raw, "t10k")
    if len(images) < options.items:
        raise ValueError(
            f"options.items is {options.items}; {raw / train}-* holds {len(images)} images"
        )
    if test_images.shape[1:] != images.shape[1:]:
        raise ValueError(f"{raw} has training and test images of different sizes")
    pixels = np.concatenate([images[: options.items], test_images])
    return Loaded(
        framed(pixels, options.size),
        np.concatenate([labels[: options.items], test_labels]).astype(np.int64),
        np.arange(options.items, len(pixels)),
    )


def framed(pixels: np.ndarray, size: int) -> np.ndarray:
    """Return bytes (N, s, s) as images (N, 1, size, size) in [-1, 1], the border -1.

    Raises:
        ValueError: the border cannot be the same on all sides.
    """
    border, odd = divmod(size - pixels.shape[-1], 2)
    if border < 0 or odd:
        side = pixels.shape[-1]
        raise ValueError(f"options.size is {size}; it must be {side}, {side + 2}, {side + 4}, ...")
    wide = np.pad(pixels, ((0, 0), (border, border), (border, border)))[:, None]
    return wide.astype(np.float32) / np.float32(127.5) - np.float32(1)
