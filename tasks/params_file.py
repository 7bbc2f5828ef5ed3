"""The raw content of params.yaml: read, with each key once, and changed by dotted key."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ebm.names import nearest
from tasks.plain_yaml import FAST, Refused, parse
from tasks.refusals import SHOWN, SettingsError

NAMED = ("train", "goals", "apply")  # what stands there is a name
OTHERS = ("source", "other")  # settings that name another data set


class Twice(Refused):
    """A key that stands twice: one sentence with both lines."""


class Once(FAST):  # type: ignore[misc]
    """The safe loader, which refuses a key that stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping as a dict.

        Raises:
            Twice: a key stands twice.
        """
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            line = key.start_mark.line + 1
            first = lines.get((key.tag, key.value))
            if first is not None:
                raise Twice(
                    f"line {line}: the key {key.value} stands at line {first} already; keep one"
                )
            lines[key.tag, key.value] = line
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the raw content of params.yaml.

    Raises:
        SettingsError: it is missing, no text, no YAML, or holds more than data.
    """
    try:
        content = parse(path.read_text("utf-8"), Once)
    except FileNotFoundError:
        raise SettingsError(f"{path} is missing; run this in the project's folder") from None
    except Twice as error:
        raise SettingsError(f"{path.name}, {error}") from None
    except Refused as error:
        raise SettingsError(f"{path.name} {error}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path.name} is no text; it must be YAML in UTF-8") from None
    if not isinstance(content, dict):
        raise SettingsError(f"{path.name} holds {type(content).__name__}; it must hold keys")
    return content


def override(content: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content with values changed by dotted key (list items by their number).

    The last part of a key may be new, as of a setting that was left out: whether there is such a
    setting is for those who read the content to say.

    Raises:
        SettingsError: there is no such place.
    """
    content = copy.deepcopy(content)
    for key, value in changes.items():
        *path, last = key.split(".")
        place: Any = content
        for index, name in enumerate([*path, last]):
            step: str | int = name
            if isinstance(place, list) and name in map(str, range(len(place))):
                step = int(name)
            elif not isinstance(place, dict) or step not in place and not new(place, index, key):
                there = list(place) if isinstance(place, dict) else []
                near = nearest(name, map(str, there))
                hint = f"; did you mean {'.'.join([*path[:index], near])}?" if near else ""
                if "like" in there:
                    hint = f"; {'.'.join(path[:index])} is like {place['like']}: change that one"
                shown = " ".join(key.split())[:SHOWN]
                raise SettingsError(f"params.yaml has no key {shown}{hint}")
            if index == len(path):
                place[step] = value
            else:
                place = place[step]
    return content


def new(place: Mapping[str, Any], index: int, key: str) -> bool:
    """Tell whether a key that a place lacks may be added: the last of all, of a plain setting.

    Not of a stage, an application or another data set, for which dvc.yaml needs lines, nor of a
    name that one chooses, nor beside `like`, where all is as another stage has it.
    """
    *path, last = key.split(".")
    fixed = len(path) <= 2 or path[-1] in NAMED or last in OTHERS
    return index == len(path) and "like" not in place and not fixed
