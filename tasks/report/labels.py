"""The report's curve of a classifier's error by number of labels, a line a kind of features."""

import re
from collections.abc import Mapping
from typing import Any

ERROR = re.compile(r"error_(\d+)_labels(?:_(\w+))?")
MARGIN = re.compile(r"margin_(\d+)_labels(?:_(\w+))?")
OWN = "features of the EBM"
NAMES = {None: OWN, "fine_tuned": "the EBM's network, fine-tuned"}

Points = dict[int, dict[str, Any]]


def curve(content: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the lines that classify.json holds, whichever there are.

    Returns:
        `labels`, ascending; `lines`, each a `name`, whether it is the model's `own`, and `cells`
        at each number of labels: None or value, spread and whether it is the best there; `draws`
        of the labels; `whole`, the error with all labels, where it is one and known. None where
        the file has no such errors.
    """
    rows = (content or {}).get("metrics", [])
    lines: dict[str, Points] = {}
    for row in rows:
        if found := ERROR.fullmatch(row["metric"]):
            lines.setdefault(name(found[2]), {})[int(found[1])] = row
    own, draws = set(lines), max((row.get("seeds") or 0 for row in rows), default=0)
    for row in (content or {}).get("compared", []):
        found = ERROR.fullmatch(row["metric"])
        if found and row["value"] is not None:
            lines.setdefault(row["of"], {}).setdefault(int(found[1]), row)
    if not lines:
        return None
    labels = sorted({count for points in lines.values() for count in points})
    best = {n: min(points[n]["value"] for points in lines.values() if n in points) for n in labels}
    shown = [
        {"name": of, "own": of in own, "cells": [cell(points, n, best[n]) for n in labels]}
        for of, points in lines.items()
    ]
    return {"labels": labels, "lines": shown, "draws": draws, "whole": whole(lines.get(OWN, {}))}


def name(kind: str | None) -> str:
    """Name one of the model's own lines by what follows its metric's name."""
    return NAMES.get(kind) or f"the EBM, {str(kind).replace('_', ' ')}"


def cell(points: Points, count: int, best: float) -> dict[str, Any] | None:
    """Return a line's point at a number of labels."""
    if count not in points:
        return None
    value, spread = points[count]["value"], points[count].get("spread")
    return {"value": value, "spread": spread, "best": value == best}


def whole(points: Points) -> float | None:
    """Return the floor that all of a line's points share."""
    floors = {row.get("floor") for row in points.values()}
    return floors.pop() if len(floors) == 1 else None


def margins(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the margins' rows with `count`, their number of labels, and `kind`.

    Their sentences no longer name the number, so that one stands for all.
    """
    found = [(MARGIN.fullmatch(row["metric"]), row) for row in rows]
    return [
        {
            **row,
            "count": int(match[1]),
            "kind": (match[2] or "").replace("_", " "),
            "about": row["about"].replace(f"on {match[1]} labels", "on few labels"),
        }
        for match, row in found
        if match
    ]
