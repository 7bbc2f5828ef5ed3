"""The report's fill-ins: what stands in each line of a picture, and its figures beside it."""

from collections.abc import Mapping
from typing import Any

HIDDEN = {
    "half": "Half of the image is hidden",
    "block": "A block is hidden",
    "pixels": "Pixels at random are hidden",
}
KINDS = {"mse": "squared error", "psnr": "PSNR, dB"}
OWN = "one completion"
MEAN, BEST = "mean of the completions", "best of the completions"
ORDER = (OWN, MEAN, BEST)  # then the others


def heading(mask: str) -> str:
    """Say what a mask hides."""
    return HIDDEN.get(mask, f"Hidden: {mask.replace('_', ' ')}")


def legend(rows: int, completions: int) -> list[dict[str, Any]]:
    """Return the picture's lines from the top: `text`, and `rows` over which it stands.

    A picture of another number of rows has lines that are not known: none is returned.
    """
    if rows != completions + 4:
        return []
    times = f"{completions} completions by the model"
    lines = {"original": 1, "masked": 1, times: completions, "nearest training image": 1}
    return [{"text": text, "rows": n} for text, n in {**lines, "diffusion": 1}.items()]


def nearest(rows: int) -> list[dict[str, Any]]:
    """Return the lines of the picture of the samples nearest to training images."""
    words = ("sample", "nearest training image", "second nearest", "third nearest")
    return [{"text": text, "rows": 1} for text in words[:rows]] if 1 < rows <= len(words) else []


def figures(content: Mapping[str, Any] | None, mask: str) -> dict[str, Any] | None:
    """Return one mask's figures from apply.json.

    Returns:
        `columns`, the errors' names; `lines`, each a `name` and `cells` of value, spread and
        whether it is the best; `spread`, the row of the completions' spread, with `beside`, what
        it is compared with. None where the file has no figures of this mask.
    """
    own = {row["metric"]: row for row in (content or {}).get("metrics", [])}
    kinds = [kind for kind in KINDS if f"inpaint_{kind}_{mask}" in own]
    if content is None or not kinds:
        return None
    rows = {OWN: {kind: own[f"inpaint_{kind}_{mask}"] for kind in kinds}}
    for rival in content.get("compared", []):
        for kind in kinds:
            if rival["metric"] == f"inpaint_{kind}_{mask}":
                rows.setdefault(rival["of"], {})[kind] = rival
    best = {kind: best_of(kind, rows) for kind in kinds}
    names = sorted(rows, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
    lines = [
        {"name": name, "cells": [cell(rows[name].get(kind), best[kind]) for kind in kinds]}
        for name in names
    ]
    spread = own.get(metric := f"inpaint_spread_{mask}")
    beside = [rival for rival in content.get("compared", []) if rival["metric"] == metric]
    return {
        "columns": [KINDS[kind] for kind in kinds],
        "lines": lines,
        "spread": {**spread, "beside": beside} if spread else None,
    }


def best_of(kind: str, rows: Mapping[str, Mapping[str, Any]]) -> float | None:
    """Return the best value of an error over all lines but one that is picked by the truth."""
    known = [row[kind]["value"] for name, row in rows.items() if kind in row and name != BEST]
    known = [value for value in known if value is not None]
    return (max if kind == "psnr" else min)(known, default=None)


def cell(row: Mapping[str, Any] | None, best: float | None) -> dict[str, Any]:
    """Return a cell of the table."""
    value = (row or {}).get("value")
    spread = (row or {}).get("spread")
    return {"value": value, "spread": spread, "best": value is not None and value == best}
