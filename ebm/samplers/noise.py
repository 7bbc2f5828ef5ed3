"""Gaussian noise for chains: one stream for all of them, or one for each."""

from collections.abc import Sequence
from operator import index

import numpy as np
import torch
from torch import Tensor

REVISION = 1

BLOCK = 2**24  # values drawn ahead for seeded chains, so that memory stays bounded: 64 MiB


def whole(seeds: Sequence[int] | Tensor) -> list[int]:
    """Return seeds, a sequence or a tensor of integers, as a list.

    Raises:
        ValueError: one is negative, or they are no integers in a row.
    """
    given = seeds.tolist() if isinstance(seeds, Tensor | np.ndarray) else seeds
    try:
        numbers = [index(seed) for seed in given]
    except TypeError:
        raise ValueError(f"seeds is {seeds}; it must be a row of integers") from None
    if any(number < 0 for number in numbers):
        raise ValueError(f"seeds has {min(numbers)}; each must be 0 or more")
    return numbers


def spawn(seeds: Sequence[int] | Tensor, key: int) -> list[int]:
    """Return one new seed for each seed, independent of it and of those under another key."""
    return [int(np.random.SeedSequence((seed, key)).generate_state(1)[0]) for seed in whole(seeds)]


def seed_range(seed: int, count: int, first: int = 0) -> list[int]:
    """Return the seeds of samples first, first + 1, ... of the run with this seed."""
    return [
        int(np.random.SeedSequence((seed, index)).generate_state(1)[0])
        for index in range(first, first + count)
    ]


class Noise:
    """Standard normal noise shaped like x, step after step, in a buffer that is reused.

    Args:
        like: (N, ...), gives shape, device and type.
        steps: how many draws will be asked for.
        seeds: N integers; chain i then sees the same noise whatever runs beside it.
        generator: a single stream; None is torch's own.
    """

    def __init__(
        self,
        like: Tensor,
        steps: int,
        *,
        seeds: Sequence[int] | Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        if seeds is not None and generator is not None:
            raise ValueError("both seeds and generator are given; give one source of noise")
        if seeds is not None and len(seeds) != len(like):
            raise ValueError(f"there are {len(seeds)} seeds for {len(like)} chains; give one each")
        self.like, self.left, self.generator = like, steps, generator
        self.buffer = torch.empty_like(like)
        self.streams = None
        if seeds is not None:
            self.streams = [torch.Generator().manual_seed(seed) for seed in whole(seeds)]
            self.block: list[Tensor] = []

    def next(self) -> Tensor:
        """Return the next draw, (N, ...); it is overwritten by the one after."""
        if self.streams is None:
            return self.buffer.normal_(generator=self.generator)
        if not self.block:
            self.block = self.draw_block()
        return self.block.pop()

    def draw_block(self) -> list[Tensor]:
        """Draw as many steps ahead as fit in a block, each chain from its own stream."""
        steps = max(1, min(self.left, BLOCK // max(1, self.like.numel())))
        self.left -= steps
        shape = tuple(self.like.shape[1:])
        draws = torch.stack(
            [
                torch.stack([torch.randn(shape, generator=s) for _ in range(steps)])
                for s in self.streams or []
            ],
            dim=1,
        )
        if self.like.is_cuda:
            draws = draws.pin_memory()  # so that the host need not wait for the copy
        return list(reversed(draws.to(self.like, non_blocking=self.like.is_cuda)))
