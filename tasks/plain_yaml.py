"""YAML read as data: no objects, no aliases, and no depth that could exhaust the stack.

The fast loader, which is C, ends the whole process where lists are nested deeply enough; and ten
lines of aliases stand for a text of gigabytes. So both are looked for before anything is built.
"""

from typing import Any

import yaml

DEEPEST = 50  # levels; this project's own files have ten
FAST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Refused(ValueError):
    """A text that is not read: what is wrong with it, to be said after its name."""


def parse(text: str, loader: Any = FAST) -> Any:
    """Return the content of a text of YAML.

    Args:
        text: a user's or a tool's.
        loader: a safe one.

    Raises:
        Refused: it is no YAML, or more than data.

    >>> parse("width: 8")
    {'width': 8}
    >>> parse("width: !!python/object/apply:os.getcwd []")
    Traceback (most recent call last):
    tasks.plain_yaml.Refused: is not YAML at line 1: could not determine a constructor for the tag \
'tag:yaml.org,2002:python/object/apply:os.getcwd'
    """
    try:
        check_events(text)
        return yaml.load(text, loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", "unreadable")
        raise Refused(f"is not YAML{at(mark)}: {problem}") from None
    except Refused:
        raise
    except Exception as error:  # a value that is not what its tag or form says may raise anything
        why = " ".join(str(error).split())
        raise Refused(f"has a value that is none ({why[:200]}); quote it if it is text") from None


def check_events(text: str) -> None:
    """Refuse aliases and great depth, by the events of the text, which no recursion makes."""
    depth = 0
    for event in yaml.parse(text, FAST):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            raise Refused(f"has an alias{at(event.start_mark)}; write out what it stands for")
        if depth > DEEPEST:
            raise Refused(f"is nested deeper than {DEEPEST} levels{at(event.start_mark)}")


def at(mark: Any) -> str:
    """Say a line of a text, nothing where none is known."""
    return f" at line {mark.line + 1}" if mark else ""
