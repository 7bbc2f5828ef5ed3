"""Masks: by their names, and rectangles that the settings give.

It has no REVISION of its own: that of inpaint.py stands for what is done here.
"""

from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from ebm.settings import Settings

KINDS = ("half", "block", "pixels")  # those that `make_masks` makes

Mask = NDArray[np.bool_]

Share = Annotated[float, Field(ge=0, le=1)]


class Box(Settings):
    """A rectangle to hide, in shares of the image's side, so that it is right at any size.

    >>> Box(name="mouth", box=(0.5, 0.25, 0.25, 0.5)).masks(1, 4)[0, 0].astype(int)
    array([[1, 1, 1, 1],
           [1, 1, 1, 1],
           [1, 0, 0, 1],
           [1, 1, 1, 1]])
    """

    name: str = Field(
        pattern="^[a-z][a-z0-9_]*$", description="ends the names of its metrics and its picture"
    )
    box: tuple[Share, Share, Share, Share] = Field(
        description="top, left, height and width, of the side"
    )

    @model_validator(mode="after")
    def check_box(self) -> Self:
        """Refuse a taken name, and a rectangle that is empty or leaves the image."""
        if self.name in KINDS:
            raise ValueError(f"name is {self.name!r}, which is a mask already; give it another")
        top, left, height, width = self.box
        if not (height and width) or max(top + height, left + width) > 1 + 1e-9:
            raise ValueError(
                f"box is {list(self.box)}; it must be [top, left, height, width], with height and "
                "width above 0, top + height and left + width at most 1"
            )
        return self

    def masks(self, count: int, size: int) -> NDArray[np.bool_]:
        """Return the mask count times, (count, 1, size, size), True = visible.

        Raises:
            ValueError: at this size, no pixel is hidden or none is visible.
        """
        top, left, height, width = self.box
        rows, columns = (
            slice(round(first * size), round((first + length) * size))
            for first, length in ((top, height), (left, width))
        )
        visible = np.ones((count, 1, size, size), dtype=np.bool_)
        visible[..., rows, columns] = False
        if visible.all() or not visible.any():
            raise ValueError(
                f"the mask {self.name} with box {list(self.box)} hides "
                f"{'no' if visible.all() else 'every'} pixel of a {size}x{size} image; "
                f"make it {'larger' if visible.all() else 'smaller'}"
            )
        return visible


def make_masks(kind: str, count: int, size: int, hidden: float, seed: int) -> Mask:
    """Return masks, (count, 1, size, size), True = visible.

    Args:
        kind: `half` hides the right half; `block` the central square of half the side; `pixels`
            single pixels drawn at random, others in each image.
        count: number of masks.
        size: side of the image, 4 or more.
        hidden: share of the pixels that `pixels` hides, in (0, 1).
        seed: of `pixels`.

    Raises:
        ValueError: kind is unknown, or size or hidden is out of range.
    """
    if size < 4 or not 0 < hidden < 1:
        raise ValueError(
            f"the image size is {size} and the hidden share {hidden}; "
            "the size must be 4 or more, the share between 0 and 1"
        )
    visible = np.ones((count, 1, size, size), dtype=np.bool_)
    if kind == "half":
        visible[..., size // 2 :] = False
    elif kind == "block":
        low, high = size // 4, size - size // 4
        visible[..., low:high, low:high] = False
    elif kind == "pixels":
        holes = min(max(1, round(hidden * size**2)), size**2 - 1)
        order = np.random.default_rng(seed).random((count, size**2)).argsort(1)
        visible = (order >= holes).reshape(visible.shape)
    else:
        raise ValueError(f"there is no mask {kind!r}; there are half, block, pixels")
    return visible
