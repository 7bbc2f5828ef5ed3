"""Where the chains of the synthesis step start: the seed's three implementations, and translation.

    (i)   persistent: from the end states of earlier iterations, kept in a buffer
    (ii)  contrastive divergence: from the observed examples
    (iii) non-persistent short-run: from noise
    (iv)  one-sided translation: from images of another domain, the source

A learner says `x, rows = chains.start(n, data, generator)`, runs its sampler from x, and says
`chains.keep(rows, x)` with the end states. A start from a coarser grid or from a generator is
computed by the learner itself, which has them: it then runs its sampler from there, and needs
nothing of this file.

Source: Tieleman, "Training restricted Boltzmann machines using approximations to the likelihood
gradient", 2008 (i); Hinton, "Training products of experts by minimizing contrastive divergence",
2002 (ii); Nijkamp, Hill, Zhu, Wu, arXiv:1904.09770 (iii); Zhao, Xie, Li, "Learning energy-based
generative models via coarse-to-fine expanding and sampling", ICLR 2021 (iv); Du and Mordatch,
arXiv:1903.08689 (the buffer of which a share is redrawn).
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, Protocol

import torch
from pydantic import Field, SerializeAsAny, WrapValidator, model_validator
from pydantic_core import PydanticCustomError
from torch import Tensor

from ebm.settings import Settings, missing

REVISION = 1

KEPT = 2**21  # values of the states that are kept beside a model: 8 MiB


class Fresh(Settings):
    """The distribution p_0 that a chain starts from when it starts afresh."""

    noise: Literal["uniform", "gaussian"] = Field(description="p_0 of a fresh chain")
    scale: float = Field(
        gt=0,
        description="uniform: values are in plus or minus this; gaussian: their sd; in units of x",
    )

    def draw(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Draw from p_0 on the generator's device."""
        x = torch.empty(tuple(shape), device=generator.device)
        if self.noise == "uniform":
            return x.uniform_(-self.scale, self.scale, generator=generator)
        return x.normal_(0, self.scale, generator=generator)


class PersistentStart(Fresh):
    """Chains go on from where they were."""

    start: Literal["persistent"] = Field(description="from the end states of earlier iterations")
    chains: int = Field(ge=1, description="states in the buffer")
    rejuvenation: float = Field(
        ge=0,
        le=1,
        description="share of the states visited that is redrawn from p_0",
    )
    kept: int | None = Field(
        default=None,
        ge=1,
        exclude_if=missing,
        description="states kept beside the model, for samples to go on from; 8 MiB if left out",
    )

    @model_validator(mode="after")
    def check_kept(self) -> "PersistentStart":
        """No more states are kept than there are."""
        if self.kept is not None and self.kept > self.chains:
            raise ValueError(f"kept is {self.kept}; there are no more than chains, {self.chains}")
        return self


class DataStart(Settings):
    """Contrastive divergence."""

    start: Literal["data"] = Field(description="from the observed examples of the batch")


class NoiseStart(Fresh):
    """Short-run chains."""

    start: Literal["noise"] = Field(description="from fresh noise at each iteration")


class SourceStart(Settings):
    """One-sided translation."""

    start: Literal["source"] = Field(description="from examples of another domain, drawn anew")


StartSettings = Annotated[
    PersistentStart | DataStart | NoiseStart | SourceStart, Field(discriminator="start")
]


def or_chains(value: Any, read: Callable[[Any], Fresh]) -> Fresh | str:
    """Read p_0, or take the word `chains` as it is."""
    if value != "chains" and isinstance(value, str):
        raise PydanticCustomError("sample_from", "Input should be noise and scale, or chains")
    return value if isinstance(value, str) else read(value)


# Not a union, whose members' names would stand in the keys of wrong settings.
SampleFrom = Annotated[SerializeAsAny[Fresh], WrapValidator(or_chains)]


class Chains(Protocol):
    """What a learner needs of its chains' starts."""

    def start(
        self, n: int, data: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """Return n starts, (n, ...), which may be changed, and what `keep` needs to know them by.

        Args:
            n: the number of chains.
            data: (B, ...), the batch; only a start from data looks at it.
            generator: the learner's.
        """

    def keep(self, rows: Tensor | None, x: Tensor) -> None:
        """Take back the end states x: (n, ...) of the chains that `start` gave with `rows`."""

    def kept(self) -> Tensor | None:
        """Return the states to keep beside the trained model, (M, ...), None where there are none.

        They are at most 8 MiB if the settings do not say how many, so M may be less than the
        number of chains.
        """

    def state_dict(self) -> dict[str, Tensor]:
        """Return everything that the next start depends on, the generator left out."""

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue from what `state_dict` returned."""


class Stateless:
    """Chains that remember nothing."""

    def keep(self, rows: Tensor | None, x: Tensor) -> None:
        """Forget x."""

    def kept(self) -> Tensor | None:
        """Return None: there are no states."""
        return None

    def state_dict(self) -> dict[str, Tensor]:
        """Return nothing."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take nothing.

        Raises:
            ValueError: there is something: it belongs to persistent chains.
        """
        if state:
            raise ValueError(
                f"the saved chains have {', '.join(state)}; a start from data or noise has none"
            )


class FromData(Stateless):
    """Contrastive divergence: chains start at the first n examples of the batch."""

    def start(
        self, n: int, data: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """Return a copy of the first n examples.

        Raises:
            ValueError: there are fewer.
        """
        there = 0 if data is None else len(data)
        if data is None or there < n:
            raise ValueError(
                f"{n} chains are to start from data, and the batch has {there} examples"
            )
        return data[:n].detach().clone(), None


class FromNoise(Stateless):
    """Short-run: every chain starts at fresh noise.

    Args:
        settings: p_0.
        shape: of one x.
    """

    def __init__(self, settings: NoiseStart, shape: Sequence[int]) -> None:
        self.settings, self.shape = settings, tuple(shape)

    def start(
        self, n: int, data: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """Draw n starts from p_0."""
        return self.settings.draw((n, *self.shape), generator), None


class States:
    """What is kept beside a model, for samples to go on from.

    Attributes:
        states: (M, ...).
    """

    states: Tensor

    def kept(self) -> Tensor:
        """Return the first states, (M, ...), in at most 8 MiB; their order means nothing."""
        return self.first(max(1, KEPT // self.states[0].numel()))

    def first(self, count: int) -> Tensor:
        """Return a copy of the first states, (count, ...), on the CPU."""
        return self.states[:count].cpu().clone()

    def restore(self, states: Tensor) -> None:
        """Take what `kept` returned for all of them."""
        self.states = states.to(self.states.device, copy=True)

    def resume(self, seeds: Sequence[int]) -> Tensor:
        """Return a state a seed, (N, ...), the row that the seed picks; the states stay.

        So a state depends on its own seed alone. Two seeds may pick one row, as of N seeds and N
        rows about a third do: their chains part by their noise, and are not independent.
        """
        return self.states[[self.row(seed) for seed in seeds]]

    def row(self, seed: int) -> int:
        """Return the row that a seed picks."""
        return seed % len(self.states)


class FromSource(States, Stateless):
    """One-sided translation: y_0 = x ~ p_source(x), of which a learner is given examples.

    They are data, not a state of learning: whoever goes on with a run gives them again.

    Args:
        source: (M, ...), the examples; None until a trained model's own are restored.
        shape: of one x.
        generator: the examples live on its device.
    """

    kept = States.kept

    def __init__(
        self, source: Tensor | None, shape: Sequence[int], generator: torch.Generator
    ) -> None:
        there = torch.empty(0, *shape) if source is None else source
        self.states = there.to(generator.device)

    def start(
        self, n: int, data: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """Draw n examples with replacement.

        Raises:
            ValueError: there are none.
        """
        if not len(self.states):
            raise ValueError("chains are to start at source images, and there are none")
        rows = torch.randint(len(self.states), (n,), generator=generator, device=self.states.device)
        return self.states[rows], None


class Persistent(States):
    """A buffer of states on the device; each visit goes on from some of them.

    Args:
        settings: size of the buffer, p_0, and the share redrawn.
        shape: of one x.
        generator: draws the first states; the buffer lives on its device.
        share: W, the processes that hold an equal part of the buffer each.

    Attributes:
        states: (chains / W, ...), the buffer.

    Raises:
        ValueError: the buffer cannot be divided so.
    """

    def __init__(
        self,
        settings: PersistentStart,
        shape: Sequence[int],
        generator: torch.Generator,
        share: int = 1,
    ) -> None:
        if settings.chains % share:
            raise ValueError(
                f"chains is {settings.chains}, and {share} processes hold an equal part each; "
                f"give a multiple of {share}"
            )
        self.settings = settings
        self.states = settings.draw((settings.chains // share, *shape), generator)

    def start(
        self, n: int, data: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """Return n states drawn without replacement, of which a share is drawn afresh, and rows.

        Each of the n is redrawn from p_0 with the probability `rejuvenation`, by itself.

        Raises:
            ValueError: the buffer has fewer than n.
        """
        if n > len(self.states):
            raise ValueError(
                f"{n} chains are asked for, and chains is {len(self.states)}; "
                "the buffer must hold a batch"
            )
        device = self.states.device
        rows = torch.randperm(len(self.states), generator=generator, device=device)[:n]
        x = self.states[rows]
        if self.settings.rejuvenation:
            column = (n, *[1] * (x.ndim - 1))
            redrawn = torch.rand(column, generator=generator, device=device)
            fresh = self.settings.draw(x.shape, generator)
            x = torch.where(redrawn < self.settings.rejuvenation, fresh, x)
        return x, rows

    def kept(self) -> Tensor:
        """Return the first states, as many as the settings say."""
        return super().kept() if self.settings.kept is None else self.first(self.settings.kept)

    def keep(self, rows: Tensor | None, x: Tensor) -> None:
        """Write the end states x: (n, ...) back to their rows.

        Raises:
            ValueError: rows is None.
        """
        if rows is None:
            raise ValueError("rows is None; persistent chains need the rows that start returned")
        self.states.index_copy_(0, rows, x.detach())

    def state_dict(self) -> dict[str, Tensor]:
        """Return a copy of the buffer."""
        return {"states": self.states.clone()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take the buffer back.

        Raises:
            ValueError: it is missing, or has another shape.
        """
        shape = tuple(state["states"].shape) if "states" in state else None
        if shape != self.states.shape:
            raise ValueError(f"the saved chains are {shape}; these are {tuple(self.states.shape)}")
        self.states.copy_(state["states"])


def make_chains(
    settings: PersistentStart | DataStart | NoiseStart | SourceStart,
    shape: Sequence[int],
    generator: torch.Generator,
    share: int = 1,
    source: Tensor | None = None,
) -> Chains:
    """Return the chains that the settings describe, for x of this shape, on generator's device.

    `share` is the number of processes; each holds its part of what persists. `source` is (M, ...),
    where chains start at another domain's examples.
    """
    if isinstance(settings, PersistentStart):
        return Persistent(settings, shape, generator, share)
    if isinstance(settings, SourceStart):
        return FromSource(source, shape, generator)
    return FromNoise(settings, shape) if isinstance(settings, NoiseStart) else FromData()
