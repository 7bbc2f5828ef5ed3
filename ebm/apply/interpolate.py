"""Interpolation through the short-run chain, with its noise e held fixed.

    x_rho = M(rho z1 + sqrt(1 - rho^2) z2, e),    rho = sin(a),    a from 0 to pi / 2

The mixed starts keep the variance of Gaussian ones. Steps of equal angle, not of equal rho, put
neighbouring starts equally far apart: near rho = 1 equal steps of rho would be long ones.

Source: Nijkamp, Hill, Zhu, Wu, arXiv:1904.09770, section 4.1.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ebm.samplers.noise import spawn

REVISION = 1


def mix(z1: Tensor, z2: Tensor, frames: int) -> Tensor:
    """Return the starts from z2, at rho = 0, to z1, at rho = 1: (N, frames, ...).

    Raises:
        ValueError: there are fewer than two frames.
    """
    if frames < 2:
        raise ValueError(f"frames is {frames}; a strip needs 2 or more")
    angles = torch.linspace(0, torch.pi / 2, frames, dtype=torch.float64)
    column = (1, frames, *[1] * (z1.ndim - 1))
    rho, other = (f(angles).reshape(column).to(z1) for f in (torch.sin, torch.cos))
    return rho * z1.unsqueeze(1) + other * z2.unsqueeze(1)


def interpolate(
    chain: Any, seeds: Sequence[int], frames: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return strips of images and of their starts, (N, frames, ...) each; one strip a seed.

    Args:
        chain: as `ebm.apply.chain.generator` returns it.
        seeds: one a strip.
        frames: images of a strip.
    """
    z1, z2 = (chain.starts(spawn(seeds, end)) for end in (1, 2))
    starts = mix(z1, z2, frames)
    same = [seed for seed in seeds for _ in range(frames)]  # one e for all of a strip
    ends = chain.run(starts.flatten(0, 1), same).reshape(starts.shape)
    return ends.cpu().numpy(), starts.cpu().numpy()


def largest_step(strips: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return each strip's largest step between neighbours over the distance of its ends, (N,).

    A straight path of equal steps has 1 / (frames - 1); one jump from end to end has 1.

    Args:
        strips: (N, frames, ...).
    """
    flat = strips.reshape(*strips.shape[:2], -1).astype(np.float64)
    steps = np.linalg.norm(np.diff(flat, axis=1), axis=2)
    return steps.max(1) / np.linalg.norm(flat[:, -1] - flat[:, 0], axis=1)
