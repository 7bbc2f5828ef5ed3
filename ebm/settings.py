"""The base of every typed group of settings."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Frozen, complete and closed: no unknown key, no value changed after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def missing(value: object) -> bool:
    """Tell whether an option is left out, so that it is not written down either.

    It is None, False or an empty list. Records made before there was the option stay the same.
    """
    return value is None or value is False or value == []
