"""The base of every typed group of settings."""

from pathlib import PurePosixPath

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Frozen, complete and closed: no unknown key, no value changed after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def missing(value: object) -> bool:
    """Tell whether an option is left out, so that it is not written down either.

    It is None, False or an empty list. Records made before there was the option stay the same.
    """
    return value is None or value is False or value == []


def inside_project(path: str) -> str:
    """Return a path of the settings if it stays inside the project.

    Raises:
        ValueError: it is absolute, empty, leads out, or no file can have it.
    """
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or not path.isprintable():
        raise ValueError(f"is {path!r}; it must be a path inside the project")
    return path
