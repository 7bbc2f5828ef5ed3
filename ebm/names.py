"""Names that a user gives: what to say of one that is not known."""

from collections.abc import Iterable
from difflib import get_close_matches
from textwrap import shorten

MOST = 160  # characters of names listed, where there are many


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is spelt most like this one, None where none is near.

    >>> nearest("digts", ["faces", "digits"])
    'digits'
    """
    return next(iter(get_close_matches(name, list(known), 1)), None)


def hint(name: str, known: Iterable[str]) -> str:
    """Return the nearest known name as a question, or, where none is near, the first ones.

    >>> hint("digts", ["faces", "digits"])
    'did you mean digits?'
    >>> hint("lsun", ["faces", "digits"])
    'there are faces, digits'
    >>> hint("lsun", [])
    'there is none'
    """
    there = list(known)
    near = nearest(name, there)
    if near is not None:
        return f"did you mean {near}?"
    fitting = len(shorten(", ".join(there), MOST, break_long_words=False, placeholder="").split())
    more = f" and {len(there) - fitting} more" if len(there) > fitting else ""
    return f"there are {', '.join(there[:fitting])}{more}" if there else "there is none"
