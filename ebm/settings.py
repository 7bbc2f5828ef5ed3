"""The base of every typed group of settings."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Frozen, complete and closed: no unknown key, no value changed after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
