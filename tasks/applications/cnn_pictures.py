"""What FRAME over a CNN's filters has learned, pictured: weights by layer, or by position."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ebm.samplers.langevin import grad
from tasks.pictures import sheet

SIDE = 1000


def draw_weights(f: Any, path: Path) -> None:
    """Draw w: sorted, a curve a layer, where it is the same everywhere; else by position."""
    if f.homogeneous:
        draw_sorted(f, path)
    else:
        draw_places(f, path)


def draw_sorted(f: Any, path: Path) -> None:
    """Plot each layer's weights from the least to the greatest."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3 * len(f.layers), 3), layout="constrained")
    parts = f.head.weight.detach()[0].cpu().split([width for width, _ in f.sizes])
    axes = figure.subplots(1, len(f.layers), sharey=True, squeeze=False)[0]
    for panel, layer, w in zip(axes, f.layers, parts, strict=True):
        panel.fill_between(range(len(w)), w.sort().values.numpy(), lw=0)
        panel.set_title(f"{layer}: {int((w > 0).sum())} of {len(w)} asked for", fontsize=9)
        panel.set_xlabel("filters, sorted", fontsize=8)
    figure.suptitle("Learned weights of the filters: above 0 more of it, below 0 less")
    figure.savefig(path, dpi=90)


def draw_places(f: Any, path: Path) -> None:
    """Draw what f asks of a grey picture, then by layer where its weights are above and below 0."""
    first = next(f.parameters())
    grey = torch.zeros(1, f.channels, f.size, f.size, device=first.device)
    pictures = [spread(grad(f, grey)[0].mean(0).cpu())]
    parts = (f.head.weight.detach()[0].cpu()).split([w * side**2 for w, side in f.sizes])
    for (width, side), part in zip(f.sizes, parts, strict=True):
        w = part.view(width, side, side)
        for sign in (1, -1):
            pictures.append(spread((sign * w).clamp(min=0).sum(0)))
    shown = [torch.nn.functional.interpolate(p[None, None], size=f.size)[0] for p in pictures]
    sheet(torch.stack(shown).numpy(), path, len(shown), SIDE)


def spread(plane: Tensor) -> Tensor:
    """Return a plane (h, w) with its values spread over [-1, 1]."""
    low, high = plane.min(), plane.max()
    return (plane - low) / (high - low).clamp(min=1e-12) * 2 - 1
