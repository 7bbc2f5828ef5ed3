"""Wrong settings, said in one sentence: the key, the value found and what would be right."""

import re
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ebm.names import hint, nearest

WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
LONGEST = 100  # characters of a name: a file system takes 255, and the stage's name is added
SHOWN = 200  # characters of a wrong value that are repeated


class SettingsError(ValueError):
    """A wrong setting: one sentence with its key, the value found and what would be right."""


def quoted(value: object) -> str:
    """Return a wrong value as an error repeats it: in one line, and not all of a long one."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def named(name: str) -> str:
    """Return a name that a folder may bear: none that leads elsewhere, above all.

    Raises:
        SettingsError: it is other than letters, digits, - and _.
    """
    if len(name) > LONGEST or not WORD.fullmatch(name):
        raise SettingsError(
            f"the name {name[:LONGEST]!r} must be of letters, digits, - and _, at most {LONGEST}, "
            "as a folder is named after it"
        )
    return name


Name = Annotated[str, AfterValidator(named)]  # of data sets, experiments and their stages


def pick(table: Mapping[str, Any], name: str, what: str) -> Any:
    """Return an entry, or say what the nearest name is."""
    if name not in table:
        raise SettingsError(f"there is no {what} {name!r}; {hint(name, table)}")
    return table[name]


def located(error: ValidationError, model: type[BaseModel], path: tuple[str, ...]) -> ValueError:
    """Return the first error as one sentence under a longer key."""
    return ValueError(sentence(telling(error), model, path))


def telling(error: ValidationError) -> ErrorDetails:
    """Return the error that tells most: of a misspelt key that it is unknown, not missing."""
    found = error.errors()
    return next((each for each in found if each["type"] == "extra_forbidden"), found[0])


def sentence(error: ErrorDetails, model: type[BaseModel], path: tuple[str, ...] = ()) -> str:
    """Say one validation error as key, value found and what would be right."""
    location = tuple(str(step) for step in error["loc"])
    if location[-1:] == ("[key]",):  # what is wrong is the name itself
        location = location[:-2]
    key = " ".join(".".join((*path, *location)).split())[:SHOWN]
    found = error.get("input")
    if error["type"] == "extra_forbidden":
        near = nearest(location[-1], fields_at(model, location[:-1]))
        return f"unknown key {key}" + (f"; did you mean {near}?" if near else "")
    if error["type"] == "missing":
        return f"{key} is missing"
    if error["type"] == "value_error":
        message = str(error["ctx"]["error"])
        return f"{key + ': ' if key else ''}{message}"
    if error["type"] == "union_tag_invalid":
        told = error["ctx"]
        place = f"{key}.{told['discriminator'].strip(chr(39))}"
        return f"{place} is {told['tag']!r}; it must be one of {told['expected_tags']}"
    right = error["msg"][0].lower() + error["msg"][1:]
    return f"{key} is {quoted(found)}; {right.replace('input', 'it')}"


def fields_at(model: Any, location: tuple[str, ...]) -> list[str]:
    """Return the fields of the settings at a place, following dicts and lists."""
    for step in location:
        if is_model(model):
            field = model.model_fields.get(step)
            model = field.annotation if field else None
        else:
            model = get_args(model)[-1] if get_args(model) else None
        if get_origin(model) in (Union, UnionType):  # X | None
            model = next(kind for kind in get_args(model) if kind is not NoneType)
    return list(model.model_fields) if is_model(model) else []


def is_model(kind: Any) -> bool:
    """Tell whether a type is one of settings."""
    return isinstance(kind, type) and issubclass(kind, BaseModel)
