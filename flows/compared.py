"""`ebm compare`: where the page goes, and what a terminal shows of it."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from flows.on_files import place
from flows.results import number
from tasks.paths import Paths

BOUNDS = ("floor", "ceiling", "seed_figure", "goal")


def compare(
    paths: Paths, a: str, b: str, here: Path, out: Path | None, force: bool
) -> dict[str, Any]:
    """Write the page and return what it says.

    Args:
        here: the folder that the user is in.
        out: where the page goes, as the user said it; None is results/compare.

    Raises:
        ValueError: a side is wrong, or the page cannot go where it is asked for.
    """
    file = f"{plain(a)}--{plain(b)}.html"
    page = (paths.root / "results" / "compare" / file).resolve()
    if out:
        page = place(here / out, file, paths, force, ".html")
    from tasks.report.compare import compare as write  # after what is quick to refuse

    return write(a, b, paths, page)


def plain(word: str) -> str:
    """Return a side's name as a part of a file's name.

    >>> plain("multigrid-digits@HEAD~1")
    'multigrid-digits@HEAD~1'
    >>> plain("digits@origin/main")
    'digits@origin-main'
    """
    return re.sub(r"[^\w.@~-]+", "-", word)


def notes(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield what must be known of the sides before the tables."""
    for letter in "ab":
        side = told[letter]
        yield from (f"{side['label']}: {note}" for note in side["notes"])
    yield from told["notes"]


def shown(told: Mapping[str, Any]) -> Iterator[Table | str]:
    """Yield the tables: the settings that differ, then the figures."""
    names = [told[letter]["label"] for letter in "ab"]
    if told["settings"]:
        yield settings_table(told["settings"], names)
    else:
        yield "Every setting is the same."
    if told["metrics"]:
        yield metrics_table(told["metrics"], names)


def settings_table(rows: list[dict[str, Any]], names: list[str]) -> Table:
    """Return the settings that differ, a column a side."""
    table = Table("setting", *names, title="Settings that differ")
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        table.add_row(row["key"], *("-" if row[s] is None else row[s] for s in "ab"))
    return table


def metrics_table(rows: list[dict[str, Any]], names: list[str]) -> Table:
    """Return the figures, a column a side, with their difference and what holds them."""
    heads = ("metric", *names, "difference", f"{names[1]} is", "floor", "ceiling", "seed", "goal")
    table = Table(*heads)
    for place_of, column in enumerate(table.columns):
        column.justify = "left" if place_of in (0, 4) else "right"
        column.overflow = "fold"
    for row in rows:
        apart = row["difference"]
        table.add_row(
            row["metric"],
            *(value(row[side]) for side in "ab"),
            "-" if apart is None else f"{apart:+.3g}",
            row["word"],
            *(" / ".join(map(number, row[key])) or "-" for key in BOUNDS),
        )
    return table


def value(row: Mapping[str, Any] | None) -> str:
    """Say a figure with its spread; a dash for none.

    >>> value({"value": 14.4737, "spread": 0.617}), value(None)
    ('14.47 ± 0.62', '-')
    """
    if row is None:
        return "-"
    return number(row["value"]) + (f" ± {row['spread']:.2g}" if row["spread"] else "")
