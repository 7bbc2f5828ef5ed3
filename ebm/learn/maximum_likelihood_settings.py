"""The settings of maximum likelihood: network, reference, where chains start, and how they go."""

from typing import Annotated, Literal, cast

from pydantic import Field, model_validator

from ebm.learn.parts import ColouredChainSettings, OptimiserSettings
from ebm.networks import NetworkSettings
from ebm.samplers.chains import Fresh, SampleFrom, StartSettings
from ebm.settings import Settings, missing


class MaximumLikelihoodSettings(Settings):
    """A network, its chains and its optimiser."""

    network: NetworkSettings
    reference: Annotated[float, Field(gt=0)] | Literal["coloured"] | None = Field(
        description="sd of the Gaussian reference q; coloured: q has the data's amplitude "
        "spectrum, as the network took it from them; null: q is uniform"
    )
    start: StartSettings
    sample_from: SampleFrom = Field(
        description="p_0 of the chains that draw samples; chains: they go on from the kept ones"
    )
    chain: ColouredChainSettings
    data_noise: float = Field(ge=0, description="noise added to the data while learning")
    decay: float = Field(ge=0, description="weight of the squared energies in the loss")
    optimiser: OptimiserSettings
    gradient_clip: float | None = Field(
        default=None, gt=0, exclude_if=missing, description="limit of the parameters' gradient norm"
    )
    spectral: bool = Field(
        default=False,
        exclude_if=lambda spectral: not spectral,
        description="spectral normalisation of every layer but the last",
    )
    learned: Literal["all", "head"] = Field(
        default="all",
        exclude_if=lambda learned: learned == "all",
        description="head: the last layer alone, over layers that stay as they were drawn",
    )

    @model_validator(mode="after")
    def check_together(self) -> "MaximumLikelihoodSettings":
        """Chains are kept where they persist; what is normalised is learned."""
        if self.reference == "coloured" and "frame" not in self.network.kind:
            raise ValueError(
                f"reference is 'coloured' and network.kind is {self.network.kind!r}, which takes "
                "no spectrum from the data; give the sd of a white reference, or null"
            )
        if self.chain.coloured and "frame" not in self.network.kind:
            raise ValueError(
                f"chain.coloured is True and network.kind is {self.network.kind!r}, which takes no "
                "spectrum from the data; leave coloured out"
            )
        if self.continues and self.start.start not in ("persistent", "source"):
            raise ValueError(
                f"sample_from is 'chains' and start is {self.start.start!r}; only persistent "
                "chains are kept: give noise and scale"
            )
        if self.translates and not self.continues:
            raise ValueError(
                f"start is 'source' and sample_from is noise of scale {self.sample_from.scale}; "
                "such chains have learned to go on from source images alone: give 'chains'"
            )
        if self.learned == "head" and self.spectral:
            raise ValueError(
                "learned is 'head' and spectral is True; the layers that would be normalised are "
                "not learned: leave spectral out"
            )
        if self.spectral and self.chain.precision != "float32":
            raise ValueError(
                f"spectral is True and chain.precision is {self.chain.precision!r}, which would "
                "round the singular values; give 'float32' or leave spectral out"
            )
        return self

    @property
    def channels(self) -> int:
        """Channels of an image; values of a point."""
        return self.network.shape[0]

    @property
    def fresh(self) -> Fresh:
        """p_0 of the chains that start from noise after learning."""
        return cast(Fresh, self.start) if self.continues else self.sample_from

    @property
    def translates(self) -> bool:
        """Whether chains start at another domain's images."""
        return self.start.start == "source"

    @property
    def continues(self) -> bool:
        """Whether samples go on from the kept chains, or from the kept source images."""
        return not isinstance(self.sample_from, Fresh)
