"""Sheets of images as PNG files, at a size a person can read."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tasks.vision import make_grid

SIDE = 640  # pixels of a sheet's side, about


def sheet(images: np.ndarray, path: Path, columns: int = 10, side: int = SIDE) -> None:
    """Write images (N, C, H, W) in [-1, 1] as one picture, row by row, pixels enlarged whole."""
    scale = max(1, side // (columns * (images.shape[-1] + 1)))
    large = torch.from_numpy(np.ascontiguousarray(images)).float()
    large = large.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    grid = make_grid(large.clamp(-1, 1) / 2 + 0.5, nrow=columns, padding=2, pad_value=0.5)
    pixels = (grid.permute(1, 2, 0) * 255).round().byte().numpy()
    Image.fromarray(pixels).save(path, optimize=True)
