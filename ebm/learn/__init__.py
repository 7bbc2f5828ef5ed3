"""Learners by name: one algorithm, one file, named as the seed names it."""

from difflib import get_close_matches
from importlib import import_module
from typing import Any

LEARNERS = {"multigrid": "Multigrid"}


def learner_class(name: str) -> Any:
    """Return the class of the learner of this name; its settings are its `Settings`.

    Raises:
        ValueError: there is none of this name.
    """
    if name not in LEARNERS:
        near = get_close_matches(name, LEARNERS, 1)
        hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(LEARNERS)}"
        raise ValueError(f"there is no learner {name!r}{hint}")
    return getattr(import_module(f"ebm.learn.{name}"), LEARNERS[name])
