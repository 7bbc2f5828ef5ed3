"""Drawn faces, 64x64 in colour, a domain at a time: those of some colours of hair."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydantic import Field, field_validator

from ebm.datasets.loaded import Loaded, Tell, checked_labels, silent, why
from ebm.datasets.picture import resized
from ebm.datasets.source import Source
from ebm.names import hint
from ebm.settings import Settings

REVISION = 1

SIDE = 64
NAME = "anime_faces64.npz"
HAIR = (
    *("orange", "white", "aqua", "gray", "green", "red"),
    *("purple", "pink", "blue", "black", "brown", "blonde"),
)

SOURCE = Source(
    title="Anime faces with colours of hair",
    licence="none stated; third-party drawings, for research alone",
    credit="the artists; gathered in antoncoding/Deep_Learning_GAN, looked over by eye",
    files={NAME: "32c12d2c28fb33b206ebe8e77bd4fbb05b2101f03f8439351ccfe02f93bee8dc"},
    folder="anime_faces",
)


class Options(Settings):
    """The domain, and the form of its images."""

    hair: list[str] = Field(min_length=1, description="colours of hair; the labels are noisy")
    size: int = Field(ge=1, le=SIDE, description="side of the images")

    @field_validator("hair")
    @classmethod
    def known(cls, hair: list[str]) -> list[str]:
        """Refuse a colour that there is not, and one named twice."""
        for name in hair:
            if name not in HAIR:
                raise ValueError(f"there is no hair {name!r}; {hint(name, HAIR)}")
        if len(set(hair)) < len(hair):
            raise ValueError(f"hair is {', '.join(hair)}; each colour may be named once")
        return hair


def load(raw: Path, options: Options, tell: Tell = silent) -> Loaded:
    """Return the faces of the named colours of hair, (N, 3, size, size) in [-1, 1].

    Labels are 0 for the first colour that is named, 1 for the second, and so on. Two domains are
    two data sets of this loader: each is split by itself, and none of its faces is in the other.

    Raises:
        ValueError: the file is missing or damaged.
    """
    streams, hair = read(raw / NAME)
    labels = np.full(len(hair), -1)
    for label, name in enumerate(options.hair):
        labels[hair == HAIR.index(name)] = label
    rows = np.flatnonzero(labels >= 0)
    images = np.empty((len(rows), 3, options.size, options.size), np.float32)
    for done, row in enumerate(rows):
        images[done] = decoded(streams[row], int(row), options.size)
        tell(done + 1, len(rows))
    return Loaded(images, labels[rows].astype(np.int64))


def read(path: Path) -> tuple[list[bytes], np.ndarray]:
    """Return each face's JPEG stream and its colour of hair, a place in HAIR."""
    try:
        with np.load(path, allow_pickle=False) as content:
            jpeg, offsets = content["jpeg"].tobytes(), content["offsets"].tolist()
            hair, names = content["hair"], tuple(map(str, content["hair_names"]))
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; run the stage fetch@anime_faces again") from None
    except Exception as error:  # zipfile, zlib, numpy and OSError each have their own
        raise ValueError(f"{path} cannot be read as faces ({why(error)})") from None
    if names != HAIR:
        raise ValueError(f"{path} names the hair {', '.join(names)}; known are {', '.join(HAIR)}")
    streams = list(cut(jpeg, offsets))
    if len(streams) != len(hair):
        raise ValueError(f"{path} has {len(streams)} faces and {len(hair)} colours of hair")
    return streams, checked_labels(hair, len(HAIR), path)


def cut(jpeg: bytes, offsets: list[int]) -> Iterator[bytes]:
    """Yield the streams that lie end to end between the offsets."""
    for first, last in zip(offsets, offsets[1:], strict=False):
        yield jpeg[first:last]


def decoded(stream: bytes, row: int, size: int) -> np.ndarray:
    """Return a face as (3, size, size) in [-1, 1], averaged over areas."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(stream), formats=["JPEG"]) as image:
            pixels = np.asarray(image.convert("RGB")).astype(np.float32)
    except Exception as error:  # Pillow's own for what is damaged, or far too large
        raise ValueError(
            f"face {row} of {NAME} cannot be read as a picture ({why(error)})"
        ) from None
    if pixels.shape != (SIDE, SIDE, 3):
        shape = f"{pixels.shape[1]}x{pixels.shape[0]}"
        raise ValueError(f"face {row} of {NAME} has {shape} pixels; a face has {SIDE}x{SIDE}")
    return np.stack([resized(pixels[..., c] / 255, size) for c in range(3)]) * 2 - 1
