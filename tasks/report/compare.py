"""Two experiments, or two states or runs of one, side by side: what was set, what came of it."""

import math
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tasks.artefacts import read_json, write_text
from tasks.measured import FILES
from tasks.params_file import read_yaml
from tasks.paths import Paths
from tasks.report import applied, curves, fills, pictures
from tasks.report.page import HERE, environment, size
from tasks.report.sides import Side, gather, unequal

FOLDERS = ("samples", "evaluate", "apply", "classify")  # of pictures, in this order
COLOURS = (2, 0)  # of the sides' curves: blue and ochre, told apart by all eyes

Lines = dict[tuple[str, str], tuple[list[float], list[float]]]


def compare(a: str, b: str, paths: Paths, page: Path) -> dict[str, Any]:
    """Write the page of two sides and return what it says, as `ebm compare --json` prints it.

    Args:
        a, b: sides, as `tasks.report.sides` names them.
        page: the file that is written.

    Raises:
        ValueError: a side is not known or has no results, or both are the same.
    """
    if a == b:
        raise ValueError(f"both are {a}; name two, or {a}@REVISION for what it was")
    content = read_yaml(paths.params)
    with tempfile.TemporaryDirectory() as folder:
        sides = [gather(word, content, paths, Path(folder, k)) for word, k in ((a, "a"), (b, "b"))]
        told = tables(*sides)
        stages = overlaid(*sides)
        content = {
            **told,
            "style": Markup((HERE / "style.css").read_text()),
            "script": Markup((HERE / "script.js").read_text()),
            "stages": stages,
            "pictures": list(side_by_side(*sides)),
        }
        html = environment().get_template("compare.html").render(content)
    write_text(page, html)
    return {**told, "page": str(page)}


def tables(a: Side, b: Side) -> dict[str, Any]:
    """Return what is said in words and numbers."""
    return {
        "a": {"label": a.label, "experiment": a.name, **a.facts, "notes": a.notes},
        "b": {"label": b.label, "experiment": b.name, **b.facts, "notes": b.notes},
        "settings": [
            {"key": key, "a": a.settings.get(key), "b": b.settings.get(key)}
            for key in unequal(a.settings, b.settings)
        ],
        "metrics": metric_rows(a, b),
        "notes": list(cautions(a, b)),
    }


def cautions(a: Side, b: Side) -> Iterator[str]:
    """Say what forbids to hold the figures of one side against those of the other."""
    marks = [side.facts.get("data") for side in (a, b)]
    known = all(mark and mark != "unknown" for mark in marks)
    if known and marks[0] != marks[1]:
        yield (
            f"The data differ ({str(marks[0])[:10]} and {str(marks[1])[:10]}), so a difference "
            "need not come of the settings."
        )
    if a.facts.get("device") != b.facts.get("device"):
        yield "They were trained on different kinds of device, so their bits differ in any case."
    alone = [side for side in (a, b) if "evaluate.models" not in side.settings]
    if labels := [s.label for s in alone if any(row["spread"] for row in measured(s).values())]:
        yield (
            f"Spreads of {' and '.join(labels)} are over draws from one trained model, not over "
            "trainings: a difference beyond them may be one that other seeds do not show."
        )


def metric_rows(a: Side, b: Side) -> list[dict[str, Any]]:
    """Return a line a metric of either side.

    Returns:
        Each with `metric`, `better`, `a` and `b`, rows of figures or None; `difference`, b less a,
        and `word` on it; `floor`, `ceiling`, `goal`, `seed_figure`, each
        what the sides have of it: none, one that they share, or two.
    """
    found = [measured(side) for side in (a, b)]
    rows = []
    for metric in dict.fromkeys([*found[0], *found[1]]):
        one, other = (rows_of.get(metric) for rows_of in found)
        any_of = one or other or {}
        goals = [side.goals.get(metric) for side in (a, b)]
        rows.append(
            {
                "metric": metric,
                "better": any_of["better"],
                "about": any_of.get("about", ""),
                "a": one,
                "b": other,
                **difference(one, other),
                **{key: shared(one, other, key) for key in ("floor", "ceiling")},
                **{key: shared(goals[0], goals[1], key) for key in ("seed_figure", "goal")},
            }
        )
    return rows


def measured(side: Side) -> dict[str, dict[str, Any]]:
    """Return a side's rows of figures by metric."""
    files = [side.results / file for file in FILES]
    contents = [read_json(file) for file in files if file.is_file()]
    rows = [row for content in contents for row in content.get("metrics", [])]
    keys = ("value", "spread", "floor", "ceiling", "samples", "seeds", "better", "about")
    return {row["metric"]: {key: row.get(key) for key in keys} for row in rows}


def difference(a: Mapping[str, Any] | None, b: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return b less a, and whether b is better: not clearly so within the spreads of both.

    >>> one = {"value": 3.0, "spread": 0.3, "better": "lower"}
    >>> difference(one, {"value": 2.0, "spread": 0.4, "better": "lower"})
    {'difference': -1.0, 'word': 'better'}
    >>> difference(one, {"value": 2.6, "spread": 0.4, "better": "lower"})["word"]
    'no clear difference'
    >>> difference(one, {"value": 2.6, "spread": None, "better": "lower"})["word"]
    'better, spread not known'
    """
    if a is None or b is None or a["value"] is None or b["value"] is None:
        return {"difference": None, "word": "measured on one side only"}
    apart = b["value"] - a["value"]
    spreads = [float(side["spread"]) for side in (a, b) if side.get("spread") is not None]
    ahead = apart if a["better"] == "higher" else -apart
    word = "better" if ahead > 0 else "worse"
    if not apart:
        word = "the same"
    elif len(spreads) < 2:
        word += ", spread not known"
    elif abs(apart) <= math.hypot(*spreads):
        word = "no clear difference"
    return {"difference": float(f"{apart:.6g}"), "word": word}


def shared(a: Mapping[str, Any] | None, b: Mapping[str, Any] | None, key: str) -> list[Any]:
    """Return a bound that both sides have in common, or one of each; empty where there is none."""
    values = [side[key] for side in (a, b) if side and side.get(key) is not None]
    return list(dict.fromkeys(values))


def overlaid(a: Side, b: Side) -> list[dict[str, Any]]:
    """Return the charts: the curves of both sides over each other, by place and figure.

    Returns:
        By place, which is a grid or a training stage: what the page's script draws.
    """
    sides = [lines(side) for side in (a, b)]
    keys = list(dict.fromkeys([*sides[0], *sides[1]]))
    stages = []
    for place in dict.fromkeys(place for place, _ in keys):
        own = [{figure: line for (p, figure), line in s.items() if p == place} for s in sides]
        shown = [name for side, name in zip(own, "AB", strict=True) if side]
        stages.append({"part": place, "events": [], "sides": shown, **charts(*own)})
    return stages


def lines(side: Side) -> Lines:
    """Return a side's curves by place and figure, each with its steps.

    A place is a grid where each grid is learned in one stage, so that grids learned one by one lie
    over the same grids learned together; else a training stage, or the only one.
    """
    split = [
        (part, *name.rpartition("/")[::2], column["step"], values)
        for part, column in side.curves.items()
        for name, values in column.items()
        if name != "step"
    ]
    grids = Counter(grid for grid, _ in {(grid, part) for part, grid, *_ in split})
    found: Lines = {}
    for part, grid, figure, steps, values in split:
        alone = "" if len(side.curves) == 1 else part
        place = (
            f"grid {grid}" if grid and grids[grid] == 1 else " ".join(filter(None, [part, grid]))
        )
        found[(place if grid else alone, figure)] = (steps, values)
    return found


def charts(
    a: Mapping[str, tuple[list[float], list[float]]],
    b: Mapping[str, tuple[list[float], list[float]]],
) -> dict[str, Any]:
    """Return the panels of one place, both sides on one axis of iterations."""
    every = [steps for side in (a, b) for steps, _ in side.values()]
    last = max(steps[-1] for steps in every)
    apart = max((steps[-1] - steps[0]) / max(1, len(steps) - 1) for steps in every)
    width = max(1, math.ceil(apart), math.ceil(last / curves.POINTS))
    bins = math.ceil(last / width)
    others = sorted({*a, *b} - curves.USED)
    drawn = [
        *curves.PANELS,
        *((other, (other,), "A figure of this learner's own.") for other in others),
    ]
    panels = [
        {
            "title": title,
            "how": how,
            "series": [
                {
                    "name": " ".join(filter(None, [name, curves.word(figure)])),
                    "colour": colour,
                    "dashed": figure == "sd_data",
                    "values": binned(*side[figure], width, bins),
                    "last": min(bins, math.ceil(side[figure][0][-1] / width)) - 1,
                }
                for side, name, colour in zip((a, b), "AB", COLOURS, strict=True)
                for figure in shown
                if figure in side
            ],
        }
        for title, shown, how in drawn
    ]
    ends = [int(min((k + 1) * width, last)) for k in range(bins)]
    return {"steps": ends, "bin": width, "panels": [p for p in panels if p["series"]]}


def binned(
    steps: Sequence[float], values: Sequence[float], width: int, bins: int
) -> list[float | None]:
    """Return means over bins of iterations; None of one with no value or one that is not finite.

    >>> binned([1, 2, 3], [1.0, 3.0, 5.0], 2, 3)
    [2.0, 5.0, None]
    """
    parts: list[list[float]] = [[] for _ in range(bins)]
    for step, value in zip(steps, values, strict=True):
        parts[min(bins - 1, max(0, math.ceil(step / width) - 1))].append(value)
    means = [sum(part) / len(part) if part else math.nan for part in parts]
    return [float(f"{mean:.4g}") if math.isfinite(mean) else None for mean in means]


def side_by_side(a: Side, b: Side) -> Iterator[dict[str, Any]]:
    """Yield the pictures in pairs: sheets of samples from the finest, the others by name."""
    for folder in FOLDERS:
        found = [{p.stem: p for p in sorted((s.results / folder).glob("*.png"))} for s in (a, b)]
        sheets = [sorted(filter(size, side), key=lambda s: -(size(s) or 0)) for side in found]
        pairs = list(zip_longest(*sheets))
        names = dict.fromkeys(name for side in found for name in side if not size(name))
        for pair in [*pairs, *((name, name) for name in names)]:
            files = [of.get(stem or "") for of, stem in zip(found, pair, strict=True)]
            images = [embedded(f, s) if f else None for f, s in zip(files, (a, b), strict=True)]
            yield {
                "folder": folder,
                "caption": caption(folder, next(filter(None, pair))),
                "images": images,
            }


def embedded(file: Path, side: Side) -> dict[str, Any]:
    """Return a picture of a side, cut as its report cuts it; `why` of one that is damaged."""
    finest = max((size(f.stem) or 0 for f in side.results.glob("samples/*.png")), default=0)
    try:
        return {**pictures.embed(file, size(file.stem) or finest), "kind": kind(file)}
    except (OSError, ValueError) as error:
        return {"why": f"{file.name} cannot be read ({type(error).__name__})"}


def kind(file: Path) -> str:
    """Say how the page lays a sheet out: samples in any lines, others with their columns kept."""
    return "finest" if size(file.stem) else "table"


def caption(folder: str, stem: str) -> str:
    """Say what a pair of pictures shows."""
    if folder == "samples":
        return "Samples" if size(stem) else stem.replace("_", " ")
    if folder == "apply":
        return applied.caption(stem) or fills.heading(stem)
    return f"{folder}: {stem.replace('_', ' ')}"
