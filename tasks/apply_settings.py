"""The settings of `apply`: what a trained model is put to, an optional block an application."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from ebm.apply.boxes import KINDS, Box
from ebm.settings import Settings, missing
from tasks.evaluate_settings import KidSettings
from tasks.measured import attack_names
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


APPLICATIONS = (  # their order
    *("inpaint", "interpolate", "reconstruct", "long_chains", "moments", "hopfield"),
    *("statistics", "conditional_chains", "classifier", "rounds", "translate", "latent"),
)

ALONE = ("translate", "latent")  # each with a stage of its own, and nothing beside it

# Networks of fixed filters, which tell what samples are judged by.
WITH_VIEWS = ("frame", "frame_cnn", "sparse_frame")


class InpaintSettings(Settings):
    """Fill the hidden part of held-out images."""

    images: int = Field(ge=1, description="held-out images filled in")
    completions: int = Field(ge=2, description="different completions of each hole")
    masks: list[Annotated[Any, BeforeValidator(read_mask)]] = Field(
        min_length=1, description="half, block, pixels, or rectangles, each with a name of its own"
    )
    hidden: float = Field(
        gt=0, lt=1, description="share of the pixels that the mask `pixels` hides"
    )
    pace: float = Field(
        default=1.0,
        gt=0,
        le=1,
        exclude_if=lambda pace: pace == 1,
        description="step size of the chains, as a share of that of learning",
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


class InterpolateSettings(Settings):
    """Images between two starts of the chain."""

    strips: int = Field(ge=1, description="pairs of starts, a strip of images each")
    frames: int = Field(ge=3, description="images of a strip, both ends included")


class ReconstructSettings(Settings):
    """The start that the chain turns into a given image."""

    images: int = Field(ge=1, description="images of each set")
    iterations: int = Field(ge=1, description="steps of Adam on the start")
    rate: float = Field(gt=0, description="Adam's learning rate, in units of x")
    segment: int | None = Field(
        default=None,
        ge=1,
        exclude_if=missing,
        description="steps of the chain whose graph is held at a time, to save memory; null: all",
    )
    other: str | None = Field(
        default=None, exclude_if=missing, description="a data set whose test images are tried, too"
    )


class LongChainsSettings(Settings):
    """Chains much longer than in learning, from noise and from data."""

    chains: int = Field(ge=2, description="chains from either start")
    times: int = Field(ge=2, description="their length over that of learning")

    def check_length(self, steps: int, drawn: int) -> None:
        """Refuse chains that are no longer than those that samples are drawn with.

        Args:
            steps: of learning.
            drawn: of samples.

        Raises:
            ValueError: they are not.
        """
        if self.times * steps <= drawn:
            raise ValueError(
                f"apply.long_chains.times is {self.times}, chains of {self.times * steps} steps, "
                f"and chain.sample_steps is {drawn}; give at least {drawn // steps + 1}"
            )


class MomentsSettings(Settings):
    """Means of the last layer's features, of data and of chains."""

    images: int = Field(ge=2, description="training images")
    chains: int = Field(ge=2, description="chains of the length of learning")
    long_chains: int = Field(ge=2, description="longer chains")
    times: int = Field(ge=2, description="their length over that of learning")


class HopfieldSettings(Settings):
    """Whether a mode is what f's gradient makes of it, where there is a Gaussian reference."""

    chains: int = Field(ge=2, description="samples, and the modes that they climb to")
    steps: int = Field(ge=1, description="steps of the chain, its noise off, to a mode")


class LargerSettings(Settings):
    """Synthesis at another size than that learned from; of models that are the same everywhere."""

    side: int = Field(ge=16, description="side of the picture, in pixels")
    steps: int = Field(ge=1, description="steps of its chain from noise")


class StatisticsSettings(Settings):
    """Filter responses of samples held against those of data: what FRAME is to match."""

    samples: int = Field(ge=2, description="samples, an even number")
    larger: LargerSettings | None = Field(default=None, exclude_if=missing)
    acceptance: bool = Field(
        default=False,
        exclude_if=lambda acceptance: not acceptance,
        description="also the acceptance of Hamiltonian Monte Carlo, from each sample on",
    )


class ConditionalChainsSettings(Settings):
    """Chains that recover what is less noisy, much longer than in learning."""

    chains: int = Field(ge=2, description="test images, a chain each at every level")
    times: int = Field(ge=2, description="their length over that of learning")


class ClassifierSettings(Settings):
    """A learner that classifies: accuracy, calibration, other data, attacks; beside its twin."""

    against: Literal["validation", "test"] = Field(description="the split that it is judged on")
    other: str = Field(description="a data set of the same shape, to be told from this one")
    attacked: int = Field(ge=1, description="images attacked, the first ones")
    norm: Literal["l2", "linf"] = Field(description="of the attacks")
    sizes: list[float] = Field(min_length=1, description="of the attacks, in units of x")
    steps: int = Field(ge=1, description="of an attack")

    def names(self) -> list[str]:
        """Return the names of the metrics of the attacks."""
        return attack_names(self.norm, self.sizes)

    @model_validator(mode="after")
    def check_sizes(self) -> Self:
        """Sizes grow, from above 0."""
        if self.sizes[0] <= 0 or self.sizes != sorted(set(self.sizes)):
            raise ValueError(f"sizes is {self.sizes}; they must be above 0 and grow")
        return self


class RoundsSettings(Settings):
    """A learner in rounds: its pseudo-negatives from one to the next."""

    images: int = Field(ge=2, description="held-out images, and as many pseudo-negatives")
    shown: int = Field(ge=1, description="pseudo-negatives pictured, a column each")


class TranslateSettings(Settings):
    """Held-out images of another data set, taken to the model's own by its chain."""

    source: str = Field(description="the data set whose held-out images are translated")
    against: Literal["validation", "test"] = Field(
        description="the held-out part of either data set: validation to choose, test to report"
    )
    shown: int = Field(ge=1, description="translations pictured")
    kid: KidSettings = Field(description="of the translations to the held-out images")


class LongPriorSettings(Settings):
    """Chains of a latent-space model's prior, much longer than in learning."""

    chains: int = Field(ge=2, description="chains, one picture a state each")
    steps: int = Field(ge=10, description="their length")


class LikelihoodSettings(Settings):
    """log p(x) by importance sampling; for z of few values."""

    images: int = Field(ge=2, description="held-out images")
    draws: int = Field(ge=2, description="of z for an image")


class LatentSettings(Settings):
    """A latent-space model: reconstruction beside principal components, fills, ways, chains."""

    against: Literal["validation", "test"] = Field(
        description="the held-out part: validation to choose settings, test to report"
    )
    images: int = Field(ge=2, description="held-out images reconstructed and filled in")
    shown: int = Field(ge=1, description="of them pictured")
    masks: list[Literal["half", "block", "pixels"]] = Field(description="what is filled in")
    hidden: float = Field(gt=0, lt=1, description="share of the pixels that `pixels` hides")
    strips: int = Field(ge=1, description="ways from one held-out image to another")
    frames: int = Field(ge=3, description="images of a way, both ends included")
    long: LongPriorSettings | None = Field(default=None, exclude_if=missing)
    likelihood: LikelihoodSettings | None = Field(default=None, exclude_if=missing)


class ApplySettings(Settings):
    """An optional block an application; those given are run."""

    inpaint: InpaintSettings | None = Field(default=None, exclude_if=missing)
    interpolate: InterpolateSettings | None = Field(default=None, exclude_if=missing)
    reconstruct: ReconstructSettings | None = Field(default=None, exclude_if=missing)
    long_chains: LongChainsSettings | None = Field(default=None, exclude_if=missing)
    moments: MomentsSettings | None = Field(default=None, exclude_if=missing)
    hopfield: HopfieldSettings | None = Field(default=None, exclude_if=missing)
    statistics: StatisticsSettings | None = Field(default=None, exclude_if=missing)
    conditional_chains: ConditionalChainsSettings | None = Field(default=None, exclude_if=missing)
    classifier: ClassifierSettings | None = Field(default=None, exclude_if=missing)
    rounds: RoundsSettings | None = Field(default=None, exclude_if=missing)
    translate: TranslateSettings | None = Field(default=None, exclude_if=missing)
    latent: LatentSettings | None = Field(default=None, exclude_if=missing)

    @model_validator(mode="after")
    def check_asked(self) -> Self:
        """Refuse a stage without work, and a mask whose figures would look like others'."""
        if not self.asked():
            raise ValueError(f"none is given; give one of {', '.join(APPLICATIONS)}, or no apply")
        asked = list(self.asked())
        if self.latent and len(asked) > 1:
            raise ValueError(
                f"{asked[0]} is given beside latent, which stands alone; leave one of them out"
            )
        for mask in self.inpaint.names() if self.inpaint else ():
            if mask.startswith(APPLICATIONS):
                raise ValueError(
                    f"inpaint.masks has {mask}, which begins as an application does; rename it"
                )
        return self

    def check_model(self, network: str, final: str, model: Any) -> None:
        """Refuse what the network or the chains' start is not made for.

        Args:
            network: of the experiment.
            final: the training stage whose model is applied.
            model: that stage's settings of its learner.

        Raises:
            ValueError: one sentence.
        """
        if self.statistics and network not in WITH_VIEWS:
            raise ValueError(
                f"apply.statistics is given, and network is {network}; it needs fixed filters: "
                f"{', '.join(WITH_VIEWS)}"
            )
        if self.statistics and self.statistics.acceptance and model.chain.leapfrogs is None:
            raise ValueError(
                "apply.statistics.acceptance is True, and model.chain has no leapfrogs; Langevin "
                f"steps of {final} are never refused: leave acceptance out, or give leapfrogs"
            )
        translates = getattr(model, "translates", False)
        for application in self.asked():
            if (application == "translate") != translates:
                start = "at source images" if translates else "elsewhere than at a source"
                raise ValueError(
                    f"apply.{application} is given, and the chains of {final} start {start}; "
                    "translate, and it alone, goes with start: source"
                )

    def asked(self) -> dict[str, Settings]:
        """Return the settings of the applications that are asked for, in their order."""
        found = {name: getattr(self, name) for name in APPLICATIONS}
        return {name: settings for name, settings in found.items() if settings is not None}

    def datasets(self) -> dict[str, str]:
        """Return the data sets that applications name, by key."""
        found = {
            "reconstruct.other": self.reconstruct and self.reconstruct.other,
            "classifier.other": self.classifier and self.classifier.other,
            "translate.source": self.translate and self.translate.source,
        }
        return {key: dataset for key, dataset in found.items() if dataset}
