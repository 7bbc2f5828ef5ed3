"""The settings of `apply`: what is hidden in which images, and how often it is filled."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from ebm.apply.boxes import KINDS, Box
from ebm.settings import Settings
from tasks.refusals import located


def read_mask(raw: Any) -> str | Box:
    """Return a mask as the settings name it: one of KINDS, or a rectangle."""
    if isinstance(raw, Box):
        return raw
    if isinstance(raw, Mapping):
        try:
            return Box.model_validate(raw)
        except ValidationError as error:
            raise located(error, Box, ()) from error
    if isinstance(raw, str) and raw in KINDS:
        return raw
    raise PydanticCustomError(
        "mask",
        "Input should be {kinds} or a rectangle, (name: mouth, box: [top, left, height, width])",
        {"kinds": ", ".join(KINDS)},
    )


class ApplySettings(Settings):
    """Inpainting."""

    images: int = Field(ge=1, description="held-out images filled in")
    completions: int = Field(ge=2, description="different completions of each hole")
    masks: list[Annotated[Any, BeforeValidator(read_mask)]] = Field(
        min_length=1, description="half, block, pixels, or rectangles, each with a name of its own"
    )
    hidden: float = Field(
        gt=0, lt=1, description="share of the pixels that the mask `pixels` hides"
    )

    @model_validator(mode="after")
    def check_names(self) -> Self:
        """Refuse two masks of one name: their figures would be, too."""
        names = self.names()
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"masks has {twice[0]} more than once; each needs a name of its own")
        return self

    def names(self) -> list[str]:
        """Return the masks' names, which end those of their metrics."""
        return [mask.name if isinstance(mask, Box) else mask for mask in self.masks]

    def check_size(self, size: int) -> None:
        """Refuse, before any work, a rectangle that hides all or nothing of images of this side.

        Raises:
            ValueError: there is one.
        """
        for mask in self.masks:
            if isinstance(mask, Box):
                mask.masks(1, size)
