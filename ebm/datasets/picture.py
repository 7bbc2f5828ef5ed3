"""Any picture file as a square image of one size.

It has no REVISION of its own: those of folder.py and faces.py stand for what is done here.
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = (  # not those that Pillow hands to another program, as EPS to Ghostscript
    *("AVIF", "BMP", "DDS", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "MPO", "PCX", "PNG", "PPM"),
    *("QOI", "SGI", "TGA", "TIFF", "WEBP"),
)
DEEP = {"I": 65535.0, "I;16": 65535.0, "I;16B": 65535.0, "I;16L": 65535.0, "F": 1.0}
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def read_picture(path: Path, size: int, channels: int) -> tuple[np.ndarray, int]:
    """Return a picture as (channels, size, size) float32 in [-1, 1], and its shorter side.

    It is turned as its EXIF orientation says; of an animation the first frame is taken; what is
    transparent shows white; the centre square is kept. Larger squares are averaged over areas,
    smaller ones enlarged linearly.

    Args:
        path: the file.
        size: side of the image.
        channels: 1 for grey, 3 for colour.

    Raises:
        ValueError: why it cannot be read, without the file's name.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    Image.init()
    known = [name for name in FORMATS if name in Image.OPEN]
    if path.stat().st_size == 0:
        raise ValueError("it is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata, and more than 90 million pixels
            with Image.open(path, formats=known) as image:
                image.load()
                square, side = cropped(ImageOps.exif_transpose(image))
            planes = values(square, channels)
    except UnidentifiedImageError:
        raise ValueError("it is no picture of a known format") from None
    except Unscaled:
        raise
    except Exception as error:  # each of Pillow's formats has its own
        raise ValueError(f"it is damaged: {' '.join(str(error).split())}") from None
    return np.stack([resized(plane, size) for plane in planes]) * 2 - 1, side


class Unscaled(ValueError):
    """The picture's numbers have no known range."""


def cropped(image: "Image") -> tuple["Image", int]:
    """Return the centre square and its side."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side)), side


def values(image: "Image", channels: int) -> np.ndarray:
    """Return a picture's planes (channels, H, W) as float32 in [0, 1].

    Raises:
        Unscaled: deep values are outside 0..65535, or floats outside 0..1.
    """
    if image.mode in DEEP:
        plane = np.asarray(image).astype(np.float32) / np.float32(DEEP[image.mode])
        if not (plane.min() >= 0 and plane.max() <= 1):
            raise Unscaled("its values are neither 8 nor 16 bits nor floats from 0 to 1")
        return np.repeat(plane[None], channels, 0)
    if image.has_transparency_data:
        pixels = np.asarray(image.convert("RGBA")).astype(np.float32) / 255
        colour = pixels[..., :3] * pixels[..., 3:] + 1 - pixels[..., 3:]
    else:
        colour = np.asarray(image.convert("RGB")).astype(np.float32) / 255
    if channels == 1:
        return (colour @ GREY)[None]
    return colour.transpose(2, 0, 1)


def resized(plane: np.ndarray, size: int) -> np.ndarray:
    """Return a square plane of another size: areas averaged, or linear where it is enlarged."""
    from PIL import Image

    if len(plane) >= size:
        return averaged(averaged(plane, size).T, size).T.astype(np.float32)
    image = Image.fromarray(np.ascontiguousarray(plane))
    return np.clip(np.asarray(image.resize((size, size), Image.Resampling.BILINEAR)), 0, 1)


def averaged(rows: np.ndarray, size: int) -> np.ndarray:
    """Return rows (M, N) as means over `size` equal parts of each, fractions of pixels counted.

    >>> averaged(np.array([[0.0, 3.0, 6.0]]), 2)
    array([[1., 5.]])
    """
    count = rows.shape[1]
    total = np.pad(np.cumsum(rows, 1, dtype=np.float64), ((0, 0), (1, 0)))
    edges = np.arange(size + 1) * count / size
    left = edges.astype(int)
    right = np.minimum(left + 1, count)
    at_edges = total[:, left] + (edges - left) * (total[:, right] - total[:, left])
    return np.clip(np.diff(at_edges) * size / count, rows.min(), rows.max())
