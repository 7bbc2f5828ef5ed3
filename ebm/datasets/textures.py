"""Textures: brick, grass and gravel, grey pictures of 512x512 carried by scikit-image.

A model learns from squares of the left half; the right half is the official test part, so that the
distance between two halves of one texture can be told.
"""

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from ebm.datasets.loaded import Loaded, Tell, silent
from ebm.datasets.source import Source
from ebm.settings import Settings

REVISION = 1

SIDE = 512
CONTRAST = 1 / 3  # standard deviation of the left half; [-1, 1] then holds three of them

SOURCE = Source(
    title="Brick, grass and gravel of scikit-image",
    licence="CC0",
    credit="CC0Textures and Rob Tuytel, by way of scikit-image",
    files={
        "brick.png": "7966caf324f6ba843118d98f7a07746d22f6a343430add0233eca5f6eaaa8fcf",
        "grass.png": "b6b6022426b38936c43a4ac09635cd78af074e90f42ffa8227ac8b7452d39f89",
        "gravel.png": "c48615b451bf1e606fbd72c0aa9f8cc0f068ab7111ef7d93bb9b0f2586440c12",
    },
    package="skimage",
    inside="data",
    carrier="scikit-image==0.26.0",
)


class Options(Settings):
    """Which texture, and how large the squares are."""

    texture: Literal["brick", "grass", "gravel"] = Field(description="the picture")
    shrink: Literal[1, 2, 4] = Field(description="side of the blocks of pixels that are averaged")
    size: int = Field(ge=16, le=SIDE // 2, description="side of the squares, after shrinking")

    @model_validator(mode="after")
    def check_size(self) -> "Options":
        """A square fits into half of the picture."""
        if self.size * 2 * self.shrink > SIDE:
            raise ValueError(
                f"size is {self.size} and shrink {self.shrink}; half of a picture is then "
                f"{SIDE // 2 // self.shrink} wide"
            )
        return self


def load(raw: Path, options: Options, tell: Tell = silent) -> Loaded:
    """Return squares (N, 1, size, size) in [-1, 1]: of the left half, then of the right one.

    Neighbouring squares share half of their area. Grey is shifted and scaled so that the left half
    has mean 0 and standard deviation 1/3. There is one class.

    Raises:
        ValueError: the picture is missing, damaged or of another size.
    """
    grey = read(raw / f"{options.texture}.png")
    side = SIDE // options.shrink
    small = grey.reshape(side, options.shrink, side, options.shrink).mean((1, 3))
    left = small[:, : side // 2]
    small = ((small - left.mean()) / left.std() * CONTRAST).clip(-1, 1)
    halves = [squares(half, options.size) for half in np.split(small, 2, axis=1)]
    images = np.concatenate(halves)[:, None].astype(np.float32)
    tell(1, 1)
    test = np.arange(len(halves[0]), len(images))
    return Loaded(images, np.zeros(len(images), np.int64), test)


def squares(picture: np.ndarray, size: int) -> np.ndarray:
    """Return squares of a picture (H, W) at every half of their side, (N, size, size)."""
    windows = np.lib.stride_tricks.sliding_window_view(picture, (size, size))
    return windows[:: size // 2, :: size // 2].reshape(-1, size, size)


def read(path: Path) -> np.ndarray:
    """Return a picture as (512, 512), 0 to 255.

    Raises:
        ValueError: it is missing, damaged or of another size.
    """
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as image:
            grey = np.asarray(image.convert("L"), dtype=np.float64)
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; run the stage fetch@textures again") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as a picture ({error})") from None
    if grey.shape != (SIDE, SIDE):
        raise ValueError(f"{path} has shape {grey.shape}; a texture has {(SIDE, SIDE)}")
    return grey
