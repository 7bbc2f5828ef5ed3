"""Every setting that params.yaml may hold, what it does, its range and its default.

python -m tasks.settings_page    write docs/settings.md

All is read from the settings themselves, by the schema that pydantic makes of them.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ebm.datasets import LOADERS, loader
from ebm.learn import LEARNERS, learner_class
from tasks.artefacts import write_text
from tasks.experiment_settings import AgainSettings
from tasks.materials import table
from tasks.settings import Params

PAGE = Path("docs/settings.md")
HEAD = """# Settings

Written by `python -m tasks.settings_page` from the settings' own classes; a test holds it
against them. `params.yaml` has four parts, as the first table below says; a name in the column
"what it may be" leads to the table of what stands there. A setting without a default must be
written. Each is checked before any work; one that is wrong is refused in a sentence that names it.

`--set KEY=VALUE` changes one for a run: [trying a setting](pipeline.md#trying-a-setting). Which
settings make which stage run again: [the pipeline](pipeline.md#what-makes-a-stage-run-again).
"""
WORDS = {"integer": "whole number", "string": "text", "boolean": "true or false"}
BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
Schema = Mapping[str, Any]


def tables() -> dict[str, dict[str, Schema]]:
    """Return by heading the classes of settings, each by its name, as schemas."""
    found = {"params.yaml": {**classes(Params), **classes(AgainSettings)}}
    for name in sorted(LEARNERS):
        found[f"`model` of the learner `{name}`"] = classes(learner_class(name).Settings)
    for name in sorted(LOADERS):
        if options := getattr(loader(name), "Options", None):
            found[f"`options` of the source `{name}`"] = {f"{name} options": schema(options)}
    seen: set[str] = set()
    for heading, each in found.items():
        found[heading] = {name: schema for name, schema in each.items() if name not in seen}
        seen |= set(each)
    return found


def schema(settings: Any) -> Schema:
    """Return the schema of a class of settings."""
    made: Schema = settings.model_json_schema()
    return made


def classes(settings: Any) -> dict[str, Schema]:
    """Return a class and those that it refers to, by name."""
    whole = schema(settings)
    return {settings.__name__: whole, **whole.get("$defs", {})}


def kind(field: Schema) -> str:
    """Say what a value may be.

    >>> kind({"type": "integer", "minimum": 1}), kind({"enum": ["a", "b"]})
    ('whole number >= 1', '`a` or `b`')
    >>> kind({"type": "array", "items": {"$ref": "#/$defs/GridSettings"}})
    'list of [GridSettings](#gridsettings)'
    """
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " or ".join(f"`{each}`" for each in field["enum"])
    for several in ("anyOf", "oneOf", "allOf"):
        if several in field:
            return " or ".join(dict.fromkeys(map(kind, field[several])))
    if field.get("type") == "array":
        return f"list of {kind(field.get('items', {}))}"
    if field.get("type") == "object":
        return f"{kind(field['additionalProperties'])} by name" if has_names(field) else "settings"
    if field.get("type") == "null":
        return "null"
    limits = [f"{sign} {field[key]:g}" for key, sign in BOUNDS.items() if key in field]
    found = str(field.get("type", "settings"))
    return " ".join([WORDS.get(found, found), " and ".join(limits)]).strip()


def has_names(field: Schema) -> bool:
    """Tell whether a mapping's values are of one kind."""
    return isinstance(field.get("additionalProperties"), Mapping)


def rows(settings: Schema, abouts: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """Yield key, what it may be, default and what it does of each setting of a class.

    Args:
        settings: the schema of the class.
        abouts: what other classes are, by name: what a setting does that is one of them.
    """
    needed = settings.get("required", [])
    for key, field in settings.get("properties", {}).items():
        may_be = kind(field)
        named = [abouts[each] for each in re.findall(r"\[(\w+)\]", may_be) if each in abouts]
        about = field.get("description") or (named[0] if len(named) == 1 else "")
        default = "" if key in needed else said(field.get("default"))
        yield f"`{key}`", may_be, default, " ".join(about.split())


def said(default: object) -> str:
    """Say a default as params.yaml writes it, of one that is several settings that there is one."""
    return "may be left out" if isinstance(default, dict) else f"`{json.dumps(default)}`"


def first_sentence(settings: Schema) -> str:
    """Return what a class says of itself at the beginning."""
    return " ".join(str(settings.get("description", "")).partition("\n\n")[0].split())


def page() -> str:
    """Return the whole page."""
    parts, every = [HEAD], tables()
    abouts = {name: first_sentence(s) for found in every.values() for name, s in found.items()}
    for heading, found in every.items():
        parts.append(f"\n## {heading}\n" if found else "")
        for name, each in found.items():
            titles = ("setting", "what it may be", "default", "what it does")
            lines = table(titles, rows(each, abouts))
            parts.append(f"\n### {name}\n\n{abouts[name]}\n\n{lines}")
    return "".join(parts)


def main() -> int:
    """Write the page."""
    write_text(PAGE, page())
    print(f"Written: {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
