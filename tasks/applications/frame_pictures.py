"""What FRAME has learned, pictured: potentials by filter, or the template of the weights."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from tasks.pictures import sheet

COLUMNS, SIDE = 4, 1000
FAMILIES = ("intensity", "gradient", "blob", "cosine", "sine")


def draw_potentials(f: Any, path: Path) -> None:
    """Plot every filter's potential, by family: highest at 0 it diffuses, lowest it reacts."""
    from matplotlib.figure import Figure

    table = f.weight.detach().cpu()
    r = torch.linspace(-f.span, f.span, table.shape[1] if table.ndim > 1 else 41)
    values = table if table.ndim > 1 else table[:, None] * r.abs()
    curves = (values - values.mean(1, keepdim=True)).numpy()
    figure = Figure(figsize=(3 * len(FAMILIES), 3.2), layout="constrained")
    for axes, family in zip(figure.subplots(1, len(FAMILIES), sharey=True), FAMILIES, strict=True):
        rows = [k for k, name in enumerate(f.names) if name.startswith(family)]
        for k in rows:
            axes.plot(r, curves[k], lw=0.8, color="tab:red" if reacts(curves[k]) else "tab:blue")
        count = sum(reacts(curves[k]) for k in rows)
        axes.set_title(f"{family}: {count} of {len(rows)} react", fontsize=9)
        axes.set_xlabel("response / its deviation", fontsize=8)
    figure.suptitle("Learned potentials: red forms patterns (reaction), blue smooths (diffusion)")
    figure.savefig(path, dpi=90)


def reacts(curve: np.ndarray) -> bool:
    """Tell whether a potential is lower at 0 than around: its filter forms patterns."""
    middle, near = len(curve) // 2, max(1, len(curve) // 4)
    return bool(curve[middle] < (curve[middle - near] + curve[middle + near]) / 2)


def draw_templates(f: Any, path: Path) -> None:
    """Draw, by scale, the sum of the filters at their positions by weight, above and below 0."""
    w = f.inner().detach().cpu()
    filters = f.responses.filters.cpu()
    scales = sorted({name.split()[1] for name in f.names if name.startswith("cosine")}, key=float)
    groups = [[k for k, n in enumerate(f.names) if n.split()[1:2] == [s]] for s in scales]
    pictures = []
    for rows in [*groups, range(len(f.names))]:
        for sign in (1, -1):
            strength = (sign * w[list(rows)]).clamp(min=0)
            spread = torch.nn.functional.conv_transpose2d(
                strength[None], filters[list(rows)].abs()[:, None], padding=filters.shape[-1] // 2
            )[0]
            pictures.append(spread / spread.max().clamp(min=1e-12) * 2 - 1)
    sheet(torch.stack(pictures).numpy(), path, 2 * (len(scales) + 1), SIDE)


def draw_selected(f: Any, path: Path) -> None:
    """Draw, by family of wavelets and of all, what a sparse FRAME has learned.

    A line each: where a large |r| is liked, where it is avoided, and C sum_i b_i B_i / s_i, with C
    the coloured reference's covariance: how far b r, alone, would move its mean, bright or dark
    (`SparseFrame.parts`).
    """
    a, b = (each.cpu() for each in f.parts())
    families = [f.names[place // f.size**2].split()[0] for place in f.places.tolist()]
    shown = [each for each in FAMILIES if each in families]
    groups = [torch.tensor([of == each for of in families]) for each in shown]
    groups.append(torch.ones(len(families), dtype=torch.bool))
    pictures = []
    for rows in groups:
        liked, avoided = (f.template(a.mul(sign).clamp(min=0) * rows, True) for sign in (1, -1))
        signed = f.colour.paint(f.colour.paint(f.template(b * rows, False)[None]))[0]
        pictures += [each / each.abs().max().clamp(min=1e-12) * 2 - 1 for each in (liked, avoided)]
        pictures.append(signed / signed.abs().max().clamp(min=1e-12))
    sheet(torch.stack(pictures).numpy(), path, 3, SIDE // 2)
