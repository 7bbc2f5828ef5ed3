"""Networks by modality; no learning in them. Some are built here from settings, by kind.

A network's file is imported when it is built, so that a stage depends on the one it uses alone.
"""

from importlib import import_module
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

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


class FrameSettings(Settings):
    """Fixed filters under learned potentials, for square grey pictures."""

    kind: Literal["frame"]
    size: int = Field(ge=4, description="side of the picture, in pixels")
    scales: list[float] = Field(
        min_length=1, description="of the Gabor filters: one reaches 12 s pixels from its centre"
    )
    orientations: int = Field(ge=1, description="of the Gabor filters of a scale")
    potential: Literal["histogram", "rectified"]
    knots: int = Field(ge=3, description="of a histogram's potential, from -4 to 4 deviations")
    homogeneous: bool = Field(description="one potential everywhere; false: weights by position")

    @property
    def channels(self) -> int:
        """Channels of a picture: grey."""
        return 1

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one item, (C, H, W)."""
        return (1, self.size, self.size)

    def build(self) -> "nn.Module":
        """Return the network."""
        return import_module("ebm.networks.frame").Frame(
            self.size,
            self.scales,
            self.orientations,
            self.potential,
            self.knots,
            self.homogeneous,
        )


class SparseFrameSettings(Settings):
    """Selected wavelets under learned potentials, for square grey images of aligned objects."""

    kind: Literal["sparse_frame"]
    size: int = Field(ge=4, description="side of the image, in pixels")
    scales: list[float] = Field(
        min_length=1, description="of the Gabor filters: one reaches 12 s pixels from its centre"
    )
    orientations: int = Field(ge=1, description="of the Gabor filters of a scale")
    selected: int = Field(ge=1, description="n, wavelets that matching pursuit selects")
    potential: Literal["two_sided", "rectified"] = Field(
        description="two_sided: a weight for responses above 0, another below; rectified: of |r|"
    )

    @property
    def channels(self) -> int:
        """Channels of an image: grey."""
        return 1

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one item, (C, H, W)."""
        return (1, self.size, self.size)

    def build(self) -> "nn.Module":
        """Return the network."""
        made = import_module("ebm.networks.sparse_frame").SparseFrame
        return made(**self.model_dump(exclude={"kind"}))


class TimeResNetSettings(Settings):
    """A residual network f(x, t), for square images at several noise levels."""

    kind: Literal["time_resnet"]
    size: int = Field(ge=4, description="side of the image, in pixels: a power of two")
    channels: int = Field(ge=1, description="1 for grey, 3 for colour")
    width: int = Field(ge=2, multiple_of=2, description="channels of the first layer")
    multiples: list[int] = Field(
        min_length=1, description="width of each part over the first layer's; halved between"
    )
    blocks: int = Field(ge=1, description="residual blocks of a part")
    stride: Literal[1, 2] = Field(description="of the first layer; 2: a quarter of the cost")

    @model_validator(mode="after")
    def check_size(self) -> "TimeResNetSettings":
        """The side can be halved as often as the parts ask, down to 2 or more."""
        if self.size % (halved := self.stride * 2 ** (len(self.multiples) - 1)):
            raise ValueError(f"size is {self.size}; stride and multiples divide it by {halved}")
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one item, (C, H, W)."""
        return (self.channels, self.size, self.size)

    def build(self, levels: int) -> "nn.Module":
        """Return the network of so many noise levels."""
        return import_module("ebm.networks.time_resnet").TimeResNet(
            self.channels, self.width, self.multiples, self.blocks, levels, self.stride
        )


class FrameCNNSettings(Settings):
    """One linear layer over filters of VGG-16, for square images."""

    kind: Literal["frame_cnn"]
    size: int = Field(ge=2, description="side of the image, in pixels")
    channels: Literal[1, 3] = Field(description="1 for grey, 3 for colour")
    layers: list[str] = Field(min_length=1, description="of VGG-16: conv1_1 to conv5_3")
    unfitted: list[str] = Field(description="other layers, whose maps samples are judged by, too")
    homogeneous: bool = Field(description="one weight a filter; false: one a filter and position")
    activation: Literal["relu", "silu", "celu", "softplus"] = Field(
        description="relu as VGG was trained; the others are smooth"
    )
    pooling: Literal["max", "average"] = Field(description="max as VGG was trained")
    padding: Literal["constant", "reflect", "circular"] = Field(
        description="what lies around the image and every map; constant: zeros, as VGG was trained"
    )
    weights: str | None = Field(description="file inside the project; null: filters stay random")
    sha256: str | None = Field(pattern="^[0-9a-f]{64}$", description="of that file")
    head_scale: float = Field(ge=0, le=1, description="size of the weights at first; 0: f is 0")

    @model_validator(mode="after")
    def check_file(self) -> "FrameCNNSettings":
        """A file of filters is inside the project, and named with its sha256."""
        if (self.weights is None) != (self.sha256 is None):
            raise ValueError(
                f"weights is {self.weights!r} and sha256 is {self.sha256!r}; give both, or null "
                "for both"
            )
        path = PurePath(self.weights or "")
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"weights is {self.weights!r}; it must be a path inside the project")
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one item, (C, H, W)."""
        return (self.channels, self.size, self.size)

    def build(self) -> "nn.Module":
        """Return the network."""
        made = import_module("ebm.networks.frame_cnn").FrameCNN
        return made(**self.model_dump(exclude={"kind", "sha256"}), sha256=self.sha256 or "")


NetworkSettings = Annotated[
    MLPSettings | ConvNetSettings | FrameSettings | SparseFrameSettings | FrameCNNSettings,
    Field(discriminator="kind"),
]


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
