"""Verdicts on goals: a number, or text that one number can be held against."""

import math
import operator
import re
from collections.abc import Mapping
from typing import Any, TypeGuard

NUMBER = r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
REASON = r"\s*(?::\s.*)?"  # what follows a colon and a space explains the goal
ONE = re.compile(rf"\s*(<=|>=|<|>|below\s|above\s)?\s*({NUMBER}){REASON}", re.S)
RANGE = re.compile(rf"\s*({NUMBER})\s+to\s+({NUMBER}){REASON}", re.S)
HOLDS = {
    "<=": operator.le,
    "<": operator.lt,
    "below": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
    "above": operator.gt,
}


def met(row: Mapping[str, Any]) -> bool | None:
    """Tell whether a row meets its goal; None where none is set or it is words.

    A goal is a number, which `better` makes a bound, or text: `N`, `<= N`, `< N`, `>= N`, `> N`,
    `below N`, `above N`, or `A to B` with both ends taken in; after it may stand `: ` and why.

    >>> met({"goal": 2.0, "value": 1.5, "better": "lower"}), met({"goal": "a picture"})
    (True, None)
    >>> row = {"value": 0.97, "better": "higher"}
    >>> met({**row, "goal": ".6 to .95"}), met({**row, "goal": "above 0.9: a mode"})
    (False, True)
    """
    goal, value = row.get("goal"), row.get("value")
    if not is_number(value):
        return None
    bounds = read(str(goal), row["better"]) if is_number(goal) or isinstance(goal, str) else None
    return None if bounds is None else all(HOLDS[sign](value, end) for sign, end in bounds)


def read(goal: str, better: str) -> list[tuple[str, float]] | None:
    """Return the bounds that a text sets, each with its sign; None where it is words.

    >>> read("<= 1.2: as near as two halves", "lower"), read(".6 to .95", "higher")
    ([('<=', 1.2)], [('>=', 0.6), ('<=', 0.95)])
    >>> read("within .005 of the plain twin", "higher")
    """
    if found := RANGE.fullmatch(goal):
        bounds = [(">=", float(found[1])), ("<=", float(found[2]))]
    elif found := ONE.fullmatch(goal):
        sign = (found[1] or ("<=" if better == "lower" else ">=")).strip()
        bounds = [(sign, float(found[2]))]
    else:
        return None
    ends = [bound for _, bound in bounds]
    return bounds if ends == sorted(ends) and all(map(math.isfinite, ends)) else None


def is_number(value: Any) -> TypeGuard[float]:
    """Tell whether a value is one number."""
    return isinstance(value, int | float) and not isinstance(value, bool)
