"""The settings of latent-space models: prior, decoder, and the chains of both."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from ebm.learn.parts import ChainSettings, OptimiserSettings
from ebm.networks import ClassNetworkSettings, MLPSettings
from ebm.networks.decoders import DecoderSettings
from ebm.settings import Settings, missing

if TYPE_CHECKING:
    import numpy as np
    from torch import nn


class PriorSettings(Settings):
    """The energy-based prior of z, learned, and its chains."""

    widths: list[int] = Field(min_length=1, description="units of each hidden layer of f(z)")
    chain: ChainSettings
    decay: float = Field(ge=0, description="weight of the squared energies in the loss")
    optimiser: OptimiserSettings

    def build(self, latent: int) -> "nn.Module":
        """Return f(z) of z: (N, latent)."""
        return MLPSettings(kind="mlp", dim=latent, widths=self.widths, scale=1.0).build()


class EncoderSettings(Settings):
    """A network e(x) that the posterior's chains start at."""

    network: ClassNetworkSettings = Field(description="its `classes` are the values of z")
    optimiser: OptimiserSettings


class PosteriorChainSettings(ChainSettings):
    """The chains that infer z."""

    sample_steps: int = Field(
        ge=0,
        description="steps that infer z after learning; 0 leaves z as the encoder has it",
    )

    @model_validator(mode="after")
    def check_sampler(self) -> "PosteriorChainSettings":
        """After learning z is found without noise, which Hamiltonian chains cannot do."""
        if self.leapfrogs is not None:
            raise ValueError(f"leapfrogs is {self.leapfrogs}; chains that infer z have none")
        return self


class PosteriorSettings(Settings):
    """The chains that infer z of x."""

    start: Literal["prior", "persistent", "encoder"] = Field(
        description="prior: N(0, I); persistent: where the item's last chain ended; encoder: e(x)"
    )
    chain: PosteriorChainSettings
    encoder: EncoderSettings | None = Field(default=None, exclude_if=missing)

    @model_validator(mode="after")
    def check_encoder(self) -> "PosteriorSettings":
        """There is an encoder where chains start at one, and only there."""
        if (self.start == "encoder") != (self.encoder is not None):
            given = "given" if self.encoder else "missing"
            raise ValueError(
                f"start is {self.start!r} and encoder is {given}; an encoder is given where start "
                "is 'encoder', and only there"
            )
        if not (self.chain.sample_steps or self.encoder):
            raise ValueError(
                "chain.sample_steps is 0 and there is no encoder; give 1 step or more, as z starts "
                "at 0"
            )
        return self


class IncompleteSettings(Settings):
    """What of the training images is hidden while the model learns."""

    mask: Literal["half", "block", "pixels"]
    hidden: float = Field(gt=0, lt=1, description="share of the pixels that `pixels` hides")
    seed: int = Field(ge=0, description="of the hidden pixels")

    def masks(self, count: int, size: int) -> "np.ndarray":
        """Return masks, (count, 1, size, size), True where a pixel is seen."""
        from ebm.apply.boxes import make_masks

        return make_masks(self.mask, count, size, self.hidden, self.seed)


class LatentPriorSettings(Settings):
    """A latent-space model: z, its prior, the decoder of x, and how z of x is inferred."""

    latent: int = Field(ge=1, description="d, the number of values of z")
    prior: PriorSettings | None = Field(description="null: N(0, I), as it stands")
    decoder: DecoderSettings
    posterior: PosteriorSettings
    optimiser: OptimiserSettings = Field(description="of the decoder")
    gradient_clip: float | None = Field(
        default=None, gt=0, exclude_if=missing, description="limit of the decoder's gradient norm"
    )
    incomplete: IncompleteSettings | None = Field(default=None, exclude_if=missing)

    @model_validator(mode="after")
    def check_together(self) -> "LatentPriorSettings":
        """What reads x and z fits what makes them."""
        encoder, shape = self.posterior.encoder, tuple(self.decoder.shape)
        if encoder and encoder.network.classes != self.encoder_outputs:
            raise ValueError(
                f"posterior.encoder.network.classes is {encoder.network.classes}; with latent "
                f"{self.latent} it must be {self.encoder_outputs}"
            )
        if encoder and tuple(encoder.network.shape) != shape:
            raise ValueError(
                f"posterior.encoder.network takes items of shape {tuple(encoder.network.shape)}; "
                f"the decoder makes {shape}"
            )
        if self.incomplete and len(shape) != 3:
            raise ValueError(f"incomplete is given, and x is of shape {shape}; it needs images")
        if self.incomplete and encoder:
            raise ValueError(
                "incomplete is given, and posterior.start is 'encoder', which sees the whole "
                "item; give prior or persistent"
            )
        return self

    @property
    def encoder_outputs(self) -> int:
        """Numbers that the encoder gives: a z."""
        return self.latent

    @property
    def channels(self) -> int:
        """Channels of an image; values of a point."""
        return self.decoder.shape[0]
