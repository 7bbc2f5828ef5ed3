"""Any picture file as a square image of one size.

It has no REVISION of its own: those of folder.py and faces.py stand for what is done here.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = (  # not those that Pillow hands to another program, as EPS to Ghostscript
    *("AVIF", "BMP", "DDS", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "MPO", "PCX", "PNG", "PPM"),
    *("QOI", "SGI", "TGA", "TIFF", "WEBP"),
)
DEEP = {"I": 65535.0, "I;16": 65535.0, "I;16B": 65535.0, "I;16L": 65535.0, "F": 1.0}
COLOURLESS = ("1", "L", "LA", "La", *DEEP)
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
BAND = 2**22  # pixels held as floats at once: a photo of 100 million would need gigabytes
LIGHT = 0.5  # a mask's pixel is white from here on
TRACE = 1e-9  # a share of white above what rounding leaves


class Read(NamedTuple):
    """A picture as it is learned from, and what it was in its file.

    Attributes:
        image: (channels, size, size) float32 in [-1, 1].
        shape: width and height in pixels, upright.
        grey: it had no colours.
        clear: a part of its centre square was transparent.
    """

    image: np.ndarray
    shape: tuple[int, int]
    grey: bool
    clear: bool


def read_picture(path: Path, size: int, channels: int) -> tuple[np.ndarray, int]:
    """Return the image of `read_whole`, and the picture's shorter side.

    Raises:
        ValueError: why it cannot be read, without the file's name.
    """
    read = read_whole(path, size, channels)
    return read.image, min(read.shape)


def read_whole(path: Path, size: int, channels: int) -> Read:
    """Return a picture as (channels, size, size) float32 in [-1, 1], and what it was.

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
    with said_plainly():
        whole = upright(path)
        square = centre(whole)
        image = scaled(square, size, channels) * 2 - 1
        return Read(image, whole.size, square.mode in COLOURLESS, has_clear(square))


def read_mask(path: Path, size: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Return a mask's picture as boolean (size, size), True where it hides, and (width, height).

    White hides, black does not. It goes the way of the picture that it belongs to; a pixel of the
    result is hidden where any white pixel has a part in it, so that nothing hidden shows through.

    Raises:
        ValueError: why it cannot be read, without the file's name.
    """
    with said_plainly():
        image = upright(path)
        if has_clear(image):
            raise Unfit("it has transparent parts, which are neither black nor white; flatten it")
        return scaled(centre(image), size, 1, masking=True)[0] > TRACE, image.size


def dimensions(path: Path) -> tuple[int, int]:
    """Return a picture's width and height in pixels, upright.

    Raises:
        ValueError: why it cannot be read, without the file's name.
    """
    with said_plainly():
        return upright(path).size


@contextmanager
def said_plainly() -> Iterator[None]:
    """Say why a picture cannot be read; each of Pillow's formats has errors of its own."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata, and more than 90 million pixels
            yield
    except Unfit:
        raise
    except UnidentifiedImageError:
        raise ValueError("it is no picture of a known format") from None
    except Image.DecompressionBombError:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise ValueError(f"it has more than {most} million pixels; make it smaller") from None
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:
            raise ValueError(f"it cannot be opened: {error.strerror}") from None
        raise ValueError(f"it is damaged: {' '.join(str(error).split())}") from None


class Unfit(ValueError):
    """The picture can be read, and is not what is asked for."""


def upright(path: Path) -> "Image":
    """Return a picture's first frame, turned as its EXIF orientation says."""
    from PIL import Image, ImageOps

    Image.init()
    known = [name for name in FORMATS if name in Image.OPEN]
    if path.is_dir():
        raise Unfit("it is a folder")
    if path.stat().st_size == 0:
        raise Unfit("it is empty")
    with Image.open(path, formats=known) as image:
        image.load()
        return ImageOps.exif_transpose(image)


def centre(image: "Image") -> "Image":
    """Return the centre square."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def has_clear(image: "Image") -> bool:
    """Tell whether a part of a picture is transparent."""
    if not image.has_transparency_data:
        return False
    return bool(np.asarray(image.convert("RGBA").getchannel("A")).min() < 255)


def scaled(square: "Image", size: int, channels: int, masking: bool = False) -> np.ndarray:
    """Return a square picture as (channels, size, size) in [0, 1], read a band at a time.

    Args:
        masking: make each pixel white or black first, 1 or 0.
    """
    side = square.width
    rows = side if side <= size else max(1, BAND // side)
    bands = []
    for top in range(0, side, rows):
        planes = values(square.crop((0, top, side, min(top + rows, side))), channels)
        planes = (planes >= LIGHT).astype(np.float32) if masking else planes
        bands.append(planes if side <= size else np.stack([averaged(p, size) for p in planes]))
    planes = np.concatenate(bands, 1)
    if side <= size:
        return np.stack([resized(plane, size) for plane in planes])
    return np.stack([averaged(plane.T, size).T for plane in planes]).astype(np.float32)


def values(image: "Image", channels: int) -> np.ndarray:
    """Return a picture's planes (channels, H, W) as float32 in [0, 1].

    Raises:
        Unfit: deep values are outside 0..65535, or floats outside 0..1.
    """
    if image.mode in DEEP:
        plane = np.asarray(image).astype(np.float32) / np.float32(DEEP[image.mode])
        if not (plane.min() >= 0 and plane.max() <= 1):
            raise Unfit("its values are neither 8 nor 16 bits nor floats from 0 to 1")
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
