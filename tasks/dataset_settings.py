"""The settings of a data set: where its raw files are, and how it is split."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError, field_validator, model_validator

from ebm.datasets import LOADERS, loader
from ebm.settings import Settings, inside_project
from tasks.refusals import located


class Dataset(Settings):
    """A data set and how it is split."""

    source: str = Field(description="loader in ebm/datasets")
    raw: str = Field(description="file or folder of the raw data, inside the project")
    validation: int = Field(ge=1, description="items held out to choose settings")
    test: int = Field(ge=1, description="held out to report: of the official test part, if any")
    seed: int = Field(ge=0, description="of the split")
    mirror: bool = Field(
        default=False,
        exclude_if=lambda mirror: not mirror,
        description="training images are also given mirrored, left to right",
    )
    options: Any = Field(
        default=None,
        exclude_if=lambda options: options is None,
        description="settings of the loader, where it has any: Options of its file",
    )

    @model_validator(mode="before")
    @classmethod
    def type_the_options(cls, data: Any) -> Any:
        """Read `options` as the settings of the source's loader."""
        if not isinstance(data, Mapping) or data.get("source") not in LOADERS:
            return data
        return {**data, "options": options_of(data["source"], data.get("options"))}

    @field_validator("source")
    @classmethod
    def known(cls, source: str) -> str:
        """Refuse a source that no loader has."""
        loader(source)
        return source

    @field_validator("raw")
    @classmethod
    def inside(cls, raw: str) -> str:
        """Keep the path inside the project."""
        return inside_project(raw)


def options_of(source: str, raw: Any) -> Settings | None:
    """Return a data set's raw options read as the settings of its loader, None if it has none."""
    kind: type[Settings] | None = loader(source).Options
    if kind is None:
        if raw is not None:
            raise ValueError(f"options is {raw!r}; the source {source} has none, so leave it out")
        return None
    try:
        return kind.model_validate({} if raw is None else raw)
    except ValidationError as error:
        raise located(error, kind, ("options",)) from error
