"""The settings of `classify`: labels, classifiers, and the networks they are compared with."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from ebm.settings import Settings, missing


class FineTuneSettings(Settings):
    """Training of the EBM's whole network on the labels, and of the same network from scratch."""

    updates: int = Field(ge=1, description="steps of AdamW, at most; the rate falls to 0 by then")
    batch: int = Field(ge=1, description="labelled images in a step, drawn with replacement")
    rates: list[PositiveFloat] = Field(
        min_length=1, description="first learning rates, chosen among on the validation split"
    )
    decay: float = Field(ge=0, description="of AdamW's weights")
    checks: int = Field(
        ge=1, description="checkpoints, chosen among on the validation split, the last at the end"
    )

    @model_validator(mode="after")
    def fit_together(self) -> "FineTuneSettings":
        """There are no more checkpoints than updates."""
        if self.checks > self.updates:
            raise ValueError(
                f"checks is {self.checks}; it must be updates, {self.updates}, or less"
            )
        return self


class ClassifySettings(Settings):
    """Few-label classification on the model's features."""

    labels: list[PositiveInt] = Field(min_length=1, description="numbers of labels tried")
    draws: int = Field(ge=2, description="independent draws of the labels")
    strengths: list[PositiveFloat] = Field(
        min_length=1, description="C of the classifier, chosen among these on the validation split"
    )
    fine_tune: FineTuneSettings | None = Field(
        default=None,
        exclude_if=missing,
        description="the EBM's network fine-tuned, and trained from scratch; null: neither",
    )
    networks: list[Literal["efficientnet"]] = Field(
        default=[],
        exclude_if=missing,
        max_length=1,
        description="pretrained networks compared with; each needs a reference of the data set",
    )

    @field_validator("labels")
    @classmethod
    def increasing(cls, labels: list[int]) -> list[int]:
        """Refuse numbers of labels that do not increase."""
        if any(b <= a for a, b in zip(labels, labels[1:], strict=False)):
            raise ValueError(f"is {labels}; each number must be larger than the one before")
        return labels
