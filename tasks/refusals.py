"""Wrong settings, said in one sentence: the key, the value found and what would be right."""

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ebm.names import hint, nearest


class SettingsError(ValueError):
    """A wrong setting: one sentence with its key, the value found and what would be right."""


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
    key = ".".join((*path, *location))
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
    return f"{key} is {found!r}; {right.replace('input', 'it')}"


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
