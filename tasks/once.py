"""YAML in which a key stands once in a mapping; PyYAML itself lets the last one count."""

from typing import Any

import yaml


class Twice(ValueError):
    """A key that stands twice: one sentence with both lines."""


class Once(yaml.SafeLoader):
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
