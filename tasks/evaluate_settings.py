"""The settings of `evaluate` and `reference`: feature networks, and the metrics made with them."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from ebm.settings import Settings, inside_project, missing

SLOW = ("inception", "efficientnet")  # networks whose features of real images are a reference
CLASSIFIER = ("feature_epochs", "feature_width", "feature_batch", "feature_rate")


class KidSettings(Settings):
    """KID: the mean over subsets."""

    subsets: int = Field(ge=1, description="pairs of subsets drawn")
    size: int = Field(ge=2, description="images in a subset")


class PrecisionRecallSettings(Settings):
    """Improved precision and recall."""

    neighbours: int = Field(ge=1, description="k: a ball reaches to the k-th nearest; 3 mostly")


class EvaluateSettings(Settings):
    """The feature networks, and what is measured with each of them besides the always measured.

    cnn always gives its Frechet distance and inception score; the distance to the nearest training
    image needs no network. The rest is asked for.
    """

    against: Literal["validation", "test"] = Field(
        description="the held-out part: validation to choose settings, test to report"
    )
    feature_epochs: int | None = Field(
        default=None, ge=1, description="of cnn: passes over the training labels"
    )
    feature_width: int | None = Field(default=None, ge=2, description="of cnn: number of features")
    feature_batch: int | None = Field(default=None, ge=1, description="of cnn: images in a step")
    feature_rate: float | None = Field(
        default=None, gt=0, description="of cnn: Adam's learning rate at the start; it falls to 0"
    )
    networks: list[Literal["cnn", "pixels", "inception"]] = Field(
        default=["cnn"],
        exclude_if=lambda networks: networks == ["cnn"],
        description="cnn: a classifier trained on the data's labels; pixels: averaged to 8x8; "
        "inception: the network of FID, which needs a reference of the data set",
    )
    fid: Literal["test", "train"] | None = Field(
        default=None,
        exclude_if=missing,
        description="FID to the test images, or to training images as most published figures are "
        "(all but as many as a draw has, which give the floor); from 2,048 on either side",
    )
    kid: KidSettings | None = Field(default=None, exclude_if=missing)
    precision_recall: PrecisionRecallSettings | None = Field(default=None, exclude_if=missing)
    one_nn: bool = Field(
        default=False, exclude_if=missing, description="1-nearest-neighbour accuracy"
    )

    @model_validator(mode="after")
    def complete(self) -> "EvaluateSettings":
        """Each network and metric has what it needs."""
        for key in CLASSIFIER if "cnn" in self.networks else ():
            if getattr(self, key) is None:
                raise ValueError(f"{key} is missing; the network cnn needs it")
        if self.against == "validation" and "inception" in self.networks:
            raise ValueError("against is 'validation'; inception's references are of the test part")
        if len(set(self.networks)) < len(self.networks):
            raise ValueError(f"networks is {self.networks}; each may be named once")
        if self.fid and "inception" not in self.networks:
            raise ValueError(f"fid needs the network inception; networks is {self.networks}")
        if not self.networks and (self.kid or self.precision_recall or self.one_nn):
            raise ValueError("networks is empty; kid, precision_recall and one_nn need one")
        return self

    def classifier(self) -> dict[str, Any]:
        """Return the arguments of `train_classifier` that are settings."""
        values = [getattr(self, key) for key in CLASSIFIER]
        return dict(zip(("epochs", "width", "batch", "rate"), values, strict=True))


class Reference(Settings):
    """The features of a data set's real images, computed once and kept by DVC."""

    dataset: str
    network: Literal["inception", "efficientnet"]
    weights: str = Field(description="file inside the project; your own is welcome")
    sha256: str = Field(
        pattern="^[0-9a-f]{64}$", description="of that file: inception's is code, too"
    )
    images: int = Field(ge=2, description="at most so many images of each split")
    training: int | None = Field(
        default=None,
        ge=2,
        exclude_if=missing,
        description="at most so many training images, where they are to be fewer than `images`",
    )
    device: Literal["cpu", "gpu"] = Field(description="of the network, for samples too")
    threads: int = Field(ge=1, le=256, description="threads of torch")

    @field_validator("weights")
    @classmethod
    def inside(cls, weights: str) -> str:
        """Keep the path inside the project."""
        return inside_project(weights)
