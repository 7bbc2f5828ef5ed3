"""Networks by modality; no learning in them. Some are built here from settings, by kind.

A network's file is imported when it is built, so that a stage depends on the one it uses alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ebm.settings import Settings

if TYPE_CHECKING:  # so that settings are read without torch
    from torch import nn


class MLPSettings(Settings):
    """A fully connected network, for points."""

    kind: Literal["mlp"]
    dim: int = Field(ge=1, description="values of a point")
    widths: list[int] = Field(min_length=1, description="units of each hidden layer")
    scale: float = Field(gt=0, description="x is multiplied by this first: finer structure, sooner")

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one item, (D,)."""
        return (self.dim,)

    def build(self) -> "nn.Module":
        """Return the network."""
        return import_module("ebm.networks.mlp").MLP(self.dim, self.widths, self.scale)


class ConvNetSettings(Settings):
    """A convolutional network, for square images."""

    kind: Literal["convnet"]
    size: int = Field(ge=2, description="side of the image, in pixels: a power of two")
    channels: int = Field(ge=1, description="1 for grey, 3 for colour")
    width: int = Field(ge=1, description="channels of the network's first layer")
    widest: int | None = Field(
        default=None,
        ge=1,
        exclude_if=lambda widest: widest is None,
        description="most channels of a layer; null: they double down to the 2x2 map",
    )
    head_scale: float = Field(
        default=1.0,
        ge=0,
        le=1,
        exclude_if=lambda scale: scale == 1,
        description="size of the last layer's first weights; 0: f is 0 at first",
    )

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one item, (C, H, W)."""
        return (self.channels, self.size, self.size)

    def build(self) -> "nn.Module":
        """Return the network."""
        module = import_module("ebm.networks.convnet")
        return module.ConvNet(self.size, self.channels, self.width, self.widest, self.head_scale)


NetworkSettings = Annotated[MLPSettings | ConvNetSettings, Field(discriminator="kind")]


class MLPClassesSettings(MLPSettings):
    """The same for points, a score f_c(x) for each of several classes."""

    classes: int = Field(ge=2, description="C, numbers that the last layer gives")

    def build(self) -> "nn.Module":
        """Return the network."""
        module = import_module("ebm.networks.mlp")
        return module.MLP(self.dim, self.widths, self.scale, self.classes)


class ConvNetClassesSettings(ConvNetSettings):
    """The same for images, a score f_c(x) for each of several classes."""

    classes: int = Field(ge=2, description="C, numbers that the last layer gives")

    def build(self) -> "nn.Module":
        """Return the network."""
        module, scale = import_module("ebm.networks.convnet"), self.head_scale
        sizes = (self.size, self.channels, self.width, self.widest)
        return module.ConvNet(*sizes, scale, self.classes)


ClassNetworkSettings = Annotated[
    MLPClassesSettings | ConvNetClassesSettings, Field(discriminator="kind")
]
