"""`--set key=value`: settings changed for one run, and kept only if asked."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

from tasks import plain_yaml
from tasks.artefacts import read_json, write_json, write_text
from tasks.paths import Paths
from tasks.refusals import quoted

TOP = ("experiments", "datasets", "references", "limits")
INDENTS = ((4, 2), (2, 0))  # the two ways in which people write lists


def parse(changes: Sequence[str], names: Sequence[str], every: bool = False) -> dict[str, Any]:
    """Return new values by full key.

    Args:
        changes: KEY=VALUE, the value as in YAML; a key that does not begin with `experiments.`,
            `datasets.`, `references.` or `limits.` is relative to the one experiment that is run.
        names: the experiments that are run.
        every: a relative key is of each of them.

    Raises:
        ValueError: no "=", or a relative key beside several experiments.

    >>> parse(["train.joint.fit.updates=300"], ["digits"])
    {'experiments.digits.train.joint.fit.updates': 300}
    """
    found: dict[str, Any] = {}
    for change in changes:
        key, equals, text = change.partition("=")
        key = key.strip()
        if not equals or not key:
            raise ValueError(f"--set {quoted(change)} is not KEY=VALUE, as in seed=3")
        keys = [key]
        if key.split(".")[0] not in TOP:
            if len(names) != 1 and not every:
                raise ValueError(
                    f"--set {key} is relative, and {len(names)} experiments are run; "
                    f"write experiments.NAME.{key}"
                )
            keys = [f"experiments.{name}.{key}" for name in names]
        found |= {each: value(text, change) for each in keys}
    return found


def value(text: str, change: str) -> Any:
    """Read a value as YAML 1.2 does: 1e-3 is a number, which YAML 1.1 takes for text."""
    try:
        read = plain_yaml.parse(text)
    except plain_yaml.Refused as error:
        raise ValueError(f"the value of --set {quoted(change)} {error}; quote it") from None
    if isinstance(read, str) and not text.strip().startswith(("'", '"')):
        try:
            return float(read)
        except ValueError:
            return read
    return read


def remember(paths: Paths, changes: Mapping[str, Any]) -> None:
    """Note the changes of a run for `keep`."""
    write_json(paths.work / "overrides.json", dict(changes))


def keep(paths: Paths) -> dict[str, Any]:
    """Write the changes last used into params.yaml, comments and layout as they are.

    Raises:
        ValueError: there are none.
        SettingsError: a key is no longer there, or a value no longer right.
    """
    from tasks import settings

    noted = paths.work / "overrides.json"
    changes: dict[str, Any] = read_json(noted) if noted.is_file() else {}
    if not changes:
        raise ValueError("there is nothing to keep: no `ebm run --set` since the last `ebm keep`")
    settings.read(paths.params, changes)
    write_text(paths.params, changed(paths.params.read_text(), changes))
    noted.unlink()
    return changes


def changed(text: str, changes: Mapping[str, Any]) -> str:
    """Return the text of params.yaml with values changed by dotted key."""
    editor = next((e for e in map(yaml_editor, INDENTS) if rewritten(e, text, {}) == text), None)
    return rewritten(editor or yaml_editor(INDENTS[0]), text, changes)


def yaml_editor(indent: tuple[int, int]) -> Any:
    """Return an editor of YAML that keeps comments, quotes and lines.

    Args:
        indent: of an item of a list, and of its dash.
    """
    from ruamel.yaml import YAML

    editor = YAML()
    editor.width, editor.preserve_quotes = 4096, True
    editor.indent(mapping=2, sequence=indent[0], offset=indent[1])
    editor.representer.add_representer(
        type(None), lambda writer, none: writer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    return editor


def rewritten(editor: Any, text: str, changes: Mapping[str, Any]) -> str:
    """Return the text as the editor writes it, with values changed."""
    content = editor.load(text)
    for key, new in changes.items():
        *path, last = key.split(".")
        place = content
        for step in path:
            place = place[int(step)] if isinstance(place, list) else place[step]
        place[int(last) if isinstance(place, list) else last] = new
    out = io.StringIO()
    editor.dump(content, out)
    return out.getvalue()
