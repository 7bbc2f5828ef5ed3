"""Reconstruction through the short-run chain: the start z that it turns into a given image.

    min over z of |x - M(z)|^2,    by Adam on z, with the chain's noise off

The gradient goes through all K steps of the chain. A small error alone says little: a network that
hardly moves its start reconstructs everything, by z = x. So the error stands beside that of an
untrained network and the size of the z found beside that of a start.

Source: Nijkamp, Hill, Zhu, Wu, arXiv:1904.09770, section 4.2.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ebm.apply.chain import Chain

REVISION = 1


class Found(NamedTuple):
    """What the search left.

    Attributes:
        errors: (iterations + 1, N), mean squared error of a pixel before each step and at the end.
        z: (N, ...), the starts at the end.
        path: by iteration, M(z) there: (N, ...).
    """

    errors: NDArray[np.float64]
    z: NDArray[np.float32]
    path: dict[int, NDArray[np.float32]]


def reconstruct(
    chain: Chain,
    images: Tensor,
    seeds: Sequence[int],
    *,
    iterations: int,
    rate: float,
    segment: int | None = None,
    keep: Sequence[int] = (),
    tell: Callable[[int], None] = lambda done: None,
) -> Found:
    """Search, from a start by each image's seed, the z whose M(z) is the image.

    Args:
        images: (N, ...) in [-1, 1].
        iterations: steps of Adam; each image's z moves by itself.
        rate: Adam's learning rate, in units of x.
        segment: as in `ebm.samplers.unrolled`.
        keep: iterations at which M(z) is kept, 0 being the start.
        tell: told of each iteration that is done.
    """
    with chain.rest():
        z = chain.starts(seeds).requires_grad_()
        goal = images.to(z)
        optimiser = torch.optim.Adam([z], lr=rate)
        errors, path = [], {}
        for iteration in range(iterations + 1):
            made = chain.generate(z, segment)
            wrong = (made - goal).square().flatten(1)
            errors.append(wrong.detach().mean(1))
            if iteration in keep:
                path[iteration] = made.detach().cpu().numpy()
            if iteration < iterations:
                (z.grad,) = torch.autograd.grad(wrong.sum(), z)
                optimiser.step()
            tell(iteration)
    return Found(torch.stack(errors).double().cpu().numpy(), z.detach().cpu().numpy(), path)


def size(z: NDArray[np.float32]) -> float:
    """Return the root mean square of a value of z."""
    return float(np.sqrt(np.square(z, dtype=np.float64).mean()))
