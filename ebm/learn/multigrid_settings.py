"""The settings of a stage of multigrid learning: its grids, with their networks and chains."""

from pydantic import Field, model_validator

from ebm.energy import Precision
from ebm.settings import Settings


class Grid(Settings):
    """One grid: its network, its chain and its optimiser."""

    size: int = Field(ge=2, description="side of the image at this grid, in pixels")
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
        description="size of the last layer's first weights; 0: f is 0 at first, and the first "
        "samples are the coarser grid's, upsampled",
    )
    steps: int = Field(ge=1, description="K, Langevin steps from the grid below")
    step_size: float = Field(gt=0, description="dt of the Langevin step; pixels are in [-1, 1]")
    noise: float = Field(ge=0, description="standard deviation of the step's noise")
    start_noise: float = Field(ge=0, description="noise added to the expanded start")
    bounds: float = Field(ge=1, description="pixels are clamped to plus or minus this")
    data_noise: float = Field(ge=0, description="noise added to the data while learning")
    rate: float = Field(gt=0, description="Adam's learning rate")
    momentum: float = Field(ge=0, lt=1, description="Adam's beta1")
    decay: float = Field(ge=0, description="weight of the squared energies in the loss")
    precision: Precision = Field(
        default="float32",
        exclude_if=lambda precision: precision == "float32",
        description="of f's products in chains of learning; all else, and samples, are float32",
    )


class MultigridSettings(Settings):
    """The grids learned in one training stage, from coarse to fine."""

    channels: int = Field(ge=1, description="1 for grey, 3 for colour")
    grids: list[Grid] = Field(min_length=1)

    @model_validator(mode="after")
    def check_sizes(self) -> "MultigridSettings":
        """Each grid must be a multiple of the one before."""
        sizes = [grid.size for grid in self.grids]
        for small, large in zip([1, *sizes], sizes, strict=False):
            if large <= small or large % small:
                raise ValueError(
                    f"grids has sizes {sizes}; each must be a larger multiple of the one before"
                )
        return self
