"""Pictures of latent-space models. They have no REVISION: they compute nothing that is kept."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ebm.latent import log_prior
from ebm.learn.parts import at_rest

HALF, CELLS = 4.0, 161  # the least half side of the square about 0, and cells along its side
SHOWN, MARGIN = 0.98, 1.2  # share of inferred z that the square holds, and room around them
DEEP = 12.0  # nats below the highest that are told apart


def draw_landscape(learner: Any, z: np.ndarray, path: Path) -> None:
    """Picture log p_alpha(z) of two values, with inferred z: (N, 2), beside that of N(0, I).

    Chains leave N(0, I) where the prior is learned, so the square grows with what is inferred.
    """
    import matplotlib
    from matplotlib.figure import Figure

    half = max(HALF, MARGIN * float(np.quantile(np.abs(z).max(1), SHOWN)))
    side = torch.linspace(-half, half, CELLS)
    cells = torch.cartesian_prod(side, side)
    with at_rest(learner.f), torch.no_grad():
        learned = log_prior(learner.f)(cells).view(CELLS, CELLS).T
    normal = (-cells.square().sum(1) / 2).view(CELLS, CELLS).T
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        figure = Figure(figsize=(9, 4.4), layout="constrained")
        for place, (name, values) in enumerate({"learned": learned, "N(0, I)": normal}.items()):
            axes = figure.add_subplot(1, 2, place + 1)
            height = (values - values.max()).clamp(min=-DEEP)
            box = (-half, half, -half, half)
            axes.imshow(height.numpy(), origin="lower", extent=box, cmap="viridis")
            axes.scatter(z[:, 0], z[:, 1], s=2, color="white", alpha=0.4)
            axes.set(xlim=(-half, half), ylim=(-half, half), xlabel="z_1", ylabel="z_2", title=name)
        figure.savefig(path, dpi=110, metadata={"Software": None})
