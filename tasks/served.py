"""How MLflow loads a logged model: as data, by the folder that training wrote.

Logged beside the package `ebm`, this file is all that a serving process needs of the project.
"""

from pathlib import Path
from typing import Any

import numpy as np


class Served:
    """f(x) behind MLflow's interface."""

    def __init__(self, folder: str) -> None:
        from ebm.stored import load

        self.model = load(Path(folder))

    def predict(self, images: Any, params: dict[str, Any] | None = None) -> np.ndarray:
        """Return f(x), (N,), of images: (N, C, H, W) in [-1, 1], or {"images": them}."""
        import torch

        x = np.asarray(images["images"] if isinstance(images, dict) else images, np.float32)
        with torch.no_grad():
            return self.model.score(torch.from_numpy(x)).numpy()


def _load_pyfunc(folder: str) -> Served:
    return Served(folder)
