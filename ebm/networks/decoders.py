"""The settings of decoders p(x | z), by kind. Their files are imported when they are built."""

from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from ebm.settings import Settings

if TYPE_CHECKING:  # so that settings are read without torch
    from torch import nn


class ImageDecoderSettings(Settings):
    """Square images, with Gaussian noise about what transposed convolutions make."""

    kind: Literal["image"]
    size: int = Field(ge=2, description="side of the image, in pixels")
    channels: int = Field(ge=1, description="1 for grey, 3 for colour")
    base: int = Field(ge=1, description="side of the first map; size is base, twice that, ...")
    widths: list[int] = Field(min_length=1, description="channels of each map, from the first")
    sd: float = Field(gt=0, description="sigma of the noise, in the units of x")

    @model_validator(mode="after")
    def check_sides(self) -> "ImageDecoderSettings":
        """The maps end at the image's side."""
        times, rest = divmod(self.size, self.base)
        if rest or times & (times - 1):
            raise ValueError(
                f"size is {self.size} and base is {self.base}; size must be base, twice that, ..."
            )
        doublings = times.bit_length() - 1
        if len(self.widths) not in (doublings, doublings + 1):
            raise ValueError(
                f"widths has {len(self.widths)} entries; from {self.base} to {self.size} the side "
                f"doubles {doublings} times, so give {max(1, doublings)} or {doublings + 1}"
            )
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one item, (C, H, W)."""
        return (self.channels, self.size, self.size)

    def build(self, latent: int) -> "nn.Module":
        """Return the decoder of z: (N, latent)."""
        made = import_module("ebm.networks.generator")
        sides = (self.size, self.channels, self.base, self.widths)
        return made.GaussianDecoder(made.ImageGenerator(latent, *sides), self.sd)


class PointDecoderSettings(Settings):
    """Points, with Gaussian noise about what a fully connected network makes."""

    kind: Literal["point"]
    dim: int = Field(ge=1, description="values of a point")
    widths: list[int] = Field(description="units of each hidden layer; none: g is linear")
    sd: float = Field(gt=0, description="sigma of the noise, in the units of x")

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one item, (D,)."""
        return (self.dim,)

    def build(self, latent: int) -> "nn.Module":
        """Return the decoder of z: (N, latent)."""
        made = import_module("ebm.networks.generator")
        return made.GaussianDecoder(made.DenseGenerator(latent, self.shape, self.widths), self.sd)


class DenseDecoderSettings(Settings):
    """Small square images, with Gaussian noise about what a fully connected network makes."""

    kind: Literal["dense"]
    size: int = Field(ge=2, description="side of the image, in pixels")
    channels: int = Field(ge=1, description="1 for grey, 3 for colour")
    widths: list[int] = Field(min_length=1, description="units of each hidden layer")
    sd: float = Field(gt=0, description="sigma of the noise, in the units of x")

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one item, (C, H, W)."""
        return (self.channels, self.size, self.size)

    def build(self, latent: int) -> "nn.Module":
        """Return the decoder of z: (N, latent)."""
        made = import_module("ebm.networks.generator")
        g = made.DenseGenerator(latent, self.shape, self.widths, bounded=True)
        return made.GaussianDecoder(g, self.sd)


class SequenceDecoderSettings(Settings):
    """Sequences of symbols, such as molecules, one symbol after the other by an LSTM."""

    kind: Literal["sequence"]
    symbols: int = Field(
        ge=3, le=256, description="V, kinds of tokens: the data's alphabet, and two more"
    )
    length: int = Field(ge=1, description="L, tokens of the longest sequence, its end counted")
    embedding: int = Field(ge=1, description="values of the vector of a symbol")
    hidden: int = Field(ge=1, description="units of the LSTM")

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one item, (L,)."""
        return (self.length,)

    def build(self, latent: int) -> "nn.Module":
        """Return the decoder of z: (N, latent)."""
        made = import_module("ebm.networks.sequence")
        return made.SequenceDecoder(self.symbols, self.length, latent, self.embedding, self.hidden)


DecoderSettings = Annotated[
    ImageDecoderSettings | DenseDecoderSettings | PointDecoderSettings | SequenceDecoderSettings,
    Field(discriminator="kind"),
]
