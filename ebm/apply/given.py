"""Images and masks as a user gives them, checked against what a model was trained on.

Masks are boolean, True where a pixel is visible and kept, False where it is to be filled.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

SLACK = 1e-3  # by which rounding may lead out of [-1, 1]


def as_images(given: Any, channels: int, size: int) -> Tensor:
    """Return one image or many, a tensor or an array, as (N, channels, size, size) float32.

    Args:
        given: (C, H, W) or (N, C, H, W), floats.

    Raises:
        ValueError: the type or the shape is wrong.
    """
    images = as_tensor(given)
    found = "x".join(map(str, images.shape)) or "a single number"
    want = f"{channels}x{size}x{size}"
    if not images.is_floating_point():
        raise ValueError(f"the images are {kind(images)}; they must be floats in [-1, 1]")
    if images.ndim not in (3, 4) or images.shape[-3:] != (channels, size, size):
        raise ValueError(
            f"the images are {found}; this model's are {want}, one image, or Nx{want}, many"
        )
    if not images.numel():
        raise ValueError(f"the images are {found}: there is none")
    return images.detach().reshape(-1, channels, size, size).float()


def as_masks(given: Any, count: int, size: int) -> Tensor:
    """Return a mask, a tensor or an array, as (count, 1, size, size), True where it is visible.

    Args:
        given: (H, W) or (1, H, W), one for all images, or (N, 1, H, W), one for each.

    Raises:
        ValueError: it is not boolean, of a wrong shape, or hides no pixel of any image.
    """
    mask = as_tensor(given)
    if mask.dtype != torch.bool:
        raise ValueError(
            f"the mask is {kind(mask)}; it must be boolean, True where the image is kept, "
            "as `numbers > 0.5` makes it"
        )
    side = f"{size}x{size}"
    right = [(size, size), (1, size, size), (1, 1, size, size), (count, 1, size, size)]
    if tuple(mask.shape) not in right:
        found = "x".join(map(str, mask.shape)) or "a single value"
        raise ValueError(
            f"the mask is {found}; it must be {side} or 1x{side}, one for all images, or "
            f"{count}x1x{side}, one for each"
        )
    if mask.all():
        raise ValueError(
            "the mask hides no pixel, so there is nothing to fill; it must be False where the "
            "image is to be filled"
        )
    return mask.reshape(-1, 1, size, size).expand(count, 1, size, size)


def in_range(images: Tensor, visible: Tensor | None = None) -> Tensor:
    """Return the images (N, C, H, W), where they are visible within [-1, 1] to rounding.

    Args:
        visible: (N, 1, H, W), boolean; None is everywhere.

    Raises:
        ValueError: a value is not finite or out of range.
    """
    seen = images if visible is None else images[visible.expand_as(images)]
    if not seen.isfinite().all():
        raise ValueError("the images hold values that are no numbers; they must be in [-1, 1]")
    if seen.numel() and seen.abs().max() > 1 + SLACK:
        raise ValueError(
            f"the images' values are from {seen.min():.4g} to {seen.max():.4g}; they must be in "
            "[-1, 1], as x / 127.5 - 1 makes it of 0 to 255"
        )
    return images


def as_tensor(given: Any) -> Tensor:
    """Return a tensor or an array as a tensor.

    Raises:
        ValueError: it is no array of numbers.
    """
    if isinstance(given, Tensor):
        return given
    try:
        return torch.from_numpy(np.array(given))
    except (TypeError, ValueError):
        found = type(given).__name__
        raise ValueError(f"a {found} was given; give a tensor or an array of numbers") from None


def kind(tensor: Tensor) -> str:
    """Name the type of a tensor's values: uint8, float32."""
    return str(tensor.dtype).removeprefix("torch.")
