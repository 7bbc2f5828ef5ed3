"""Positions of those who walk, frame by frame, from text; and windows of consecutive frames.

A line of such a text is one agent in one frame: `frame agent x y`, parted by blanks, tabs or
commas. An agent may come and go: a window never reaches over a gap.

It has no REVISION of its own: those of eth_ucy.py and sdd.py stand for what is done here.
"""

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

FIELDS = ("frame", "agent", "x", "y")


class Positions(NamedTuple):
    """Lines of a text, sorted by agent and then by frame; M of them.

    Attributes:
        frame: (M,) int64.
        agent: (M,) int64.
        at: (M, 2) float64, in the units of the text.
        line: (M,) int64, number of the line in the text, counted from 1.
    """

    frame: np.ndarray
    agent: np.ndarray
    at: np.ndarray
    line: np.ndarray


class Windows(NamedTuple):
    """Trajectories over consecutive frames, sorted by their first frame, then by agent; N of them.

    Attributes:
        x: (N, T, 2) float32.
        first: (N,) int64, the first frame: those that share it are neighbours.
        agent: (N,) int64.
    """

    x: np.ndarray
    first: np.ndarray
    agent: np.ndarray


def read(path: Path) -> Positions:
    """Return the positions in a file.

    Raises:
        ValueError: it is missing, no text, or a line is wrong; the line is named by its number.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; give a text file of positions") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no text; its lines must be `frame agent x y`") from None
    return parse(text.split("\n"), str(path))


def parse(lines: Iterable[str], where: str) -> Positions:
    """Return the positions that lines tell; a first line of words is a heading, empty ones nothing.

    Args:
        lines: of the text.
        where: its name, for errors.

    Raises:
        ValueError: a line is wrong, an agent is twice in a frame, or there is no line.
    """
    rows: list[tuple[int, int, float, float, int]] = []
    for number, line in enumerate(lines, 1):
        fields = re.split(r"\s*,\s*|\s+", line.strip())
        heading = not rows and all(re.fullmatch(r"[A-Za-z_]+", field) for field in fields)
        if fields != [""] and not heading:
            rows.append((*values(fields, f"{where}, line {number}"), number))
    if not rows:
        raise ValueError(f"{where} has no positions; its lines must be `frame agent x y`")
    rows.sort(key=lambda row: (row[1], row[0]))
    for before, row in zip(rows, rows[1:], strict=False):
        if before[:2] == row[:2]:
            raise ValueError(
                f"{where}, line {max(before[4], row[4])}: agent {row[1]} is in frame {row[0]} a "
                f"second time, after line {min(before[4], row[4])}; keep one of the two"
            )
    frame, agent, places = (np.array([row[i] for row in rows], np.int64) for i in (0, 1, 4))
    return Positions(frame, agent, np.array([row[2:4] for row in rows], np.float64), places)


def values(fields: list[str], where: str) -> tuple[int, int, float, float]:
    """Return the numbers of a line.

    Raises:
        ValueError: there are not four, or one is no number, not finite, or not whole where it must.
    """
    if len(fields) != len(FIELDS):
        raise ValueError(f"{where} has {len(fields)} fields; it must be `frame agent x y`")
    found = []
    for name, field in zip(FIELDS, fields, strict=True):
        try:
            value = float(field)
        except ValueError:
            raise ValueError(f"{where}: {name} is {field!r}; it must be a number") from None
        if not math.isfinite(value):
            raise ValueError(f"{where}: {name} is {field}; it must be finite")
        if name in ("frame", "agent") and (value != int(value) or abs(value) > 2**53):
            raise ValueError(f"{where}: {name} is {field}; it must be a whole number")
        if abs(value) > float(np.finfo(np.float32).max):
            raise ValueError(f"{where}: {name} is {field}; it is too large for a position")
        found.append(value)
    return int(found[0]), int(found[1]), found[2], found[3]


def windows(positions: Positions, step: int, length: int) -> Windows:
    """Return all windows of consecutive frames in which an agent is seen.

    Args:
        positions: of one scene.
        step: from a frame to the next.
        length: T, frames of a window.
    """
    frame, agent = positions.frame, positions.agent
    apart = (np.diff(agent) != 0) | (np.diff(frame) != step)
    run = np.concatenate([[0], np.cumsum(apart)])  # lines of one run are an agent without a gap
    first = np.arange(max(0, len(run) - length + 1))
    first = first[run[first] == run[first + length - 1]]
    first = first[np.lexsort((agent[first], frame[first]))]
    x = positions.at[first[:, None] + np.arange(length)].astype(np.float32)
    return Windows(x, frame[first], agent[first])


def numbered(parts: Iterable[Windows]) -> tuple[np.ndarray, np.ndarray]:
    """Return trajectories of several scenes, (N, T, 2), and the number of the window of each, (N,).

    Rows of one window have the same number and follow each other.
    """
    x, labels, count = [], [], 0
    for part in parts:
        _, number = np.unique(part.first, return_inverse=True)
        x.append(part.x)
        labels.append(number.astype(np.int64) + count)
        count += int(number.max(initial=-1)) + 1
    return np.concatenate(x), np.concatenate(labels)


def learned(names: Sequence[str], held: Sequence[str]) -> list[str]:
    """Return the scenes that are learned from.

    Args:
        names: all scenes of the training part.
        held: those that are held out whole.

    Raises:
        ValueError: a held scene is not there, or none is left.
    """
    if missing := set(held) - set(names):
        raise ValueError(f"options.held has {min(missing)!r}; the scenes are {', '.join(names)}")
    if not (left := [name for name in names if name not in held]):
        raise ValueError("options.held names every scene of the training part; leave some to learn")
    return left
