"""`limits` of params.yaml: the minutes that a stage may take."""

from typing import Annotated

from pydantic import Field

from ebm.settings import Settings

Minutes = Annotated[float, Field(gt=0)] | None


class Limits(Settings):
    """The most minutes a stage of each kind may take; null is as long as it needs.

    They change no result, so no stage reads them: the flow ends a stage that takes longer.
    """

    fetch: Minutes = None
    prepare: Minutes = None
    reference: Minutes = None
    train: Minutes = None
    sample: Minutes = None
    evaluate: Minutes = None
    classify: Minutes = None
    apply: Minutes = None

    def of(self, stage: str) -> float | None:
        """Return the minutes of a stage, None where it has no limit."""
        minutes: float | None = getattr(self, stage, None)
        return minutes
