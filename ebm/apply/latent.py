"""What a latent-space model is used for: to reconstruct, to fill in, to go from one to another.

It is held against principal components of equal dimension, the best linear model by squared error:

    x' = m + V V^T (x - m),    V the d eigenvectors of the data's covariance of largest eigenvalues

Source: the comparisons of Han, Lu, Zhu, Wu, arXiv:1606.08571; long prior chains as in Pang, Han,
Nijkamp, Zhu, Wu, arXiv:2006.08205.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ebm.latent import log_prior
from ebm.learn.parts import at_rest

REVISION = 1

BATCH = 250  # items inferred at once


class Components(NamedTuple):
    """Principal components.

    Attributes:
        mean: (1, D).
        vectors: (D, d), orthonormal.
    """

    mean: Tensor
    vectors: Tensor

    def reconstruct(self, x: Tensor) -> Tensor:
        """Return x: (N, ...) projected on the components, shaped as x."""
        flat = x.flatten(1).double() - self.mean
        back = flat @ self.vectors @ self.vectors.T + self.mean
        return back.to(x.dtype).view_as(x)


def components(train: Tensor, d: int) -> Components:
    """Return the first d principal components of train: (M, ...).

    Raises:
        ValueError: there are not as many.
    """
    flat = train.flatten(1).double()
    if d > min(len(flat) - 1, flat.shape[1]):
        raise ValueError(f"latent is {d}; {tuple(flat.shape)} data have fewer components")
    mean = flat.mean(0, keepdim=True)
    _, vectors = torch.linalg.eigh((flat - mean).T @ (flat - mean))
    return Components(mean, vectors[:, -d:])


def infer(
    learner: Any, x: Tensor, *, steps: int | None = None, seen: Tensor | None = None
) -> Tensor:
    """Return z of x: (N, ...), found without noise, a batch at a time."""
    rows = range(0, len(x), BATCH)
    masks = [None if seen is None else seen[i : i + BATCH] for i in rows]
    parts = [
        learner.posterior(x[i : i + BATCH], steps=steps, seen=mask)
        for i, mask in zip(rows, masks, strict=True)
    ]
    return torch.cat(parts)


def reconstruct(learner: Any, x: Tensor, *, steps: int | None = None) -> Tensor:
    """Return g(z) of z inferred from x: (N, ...), shaped as x."""
    return decode(learner, infer(learner, x, steps=steps))


def complete(learner: Any, x: Tensor, visible: Tensor, *, steps: int | None = None) -> Tensor:
    """Return x: (N, C, H, W) with what is not visible from g(z), z inferred from what is.

    Args:
        visible: (N, 1, H, W), boolean.
    """
    guess = decode(learner, infer(learner, x, steps=steps, seen=visible))
    return torch.where(visible, x, guess)


def decode(learner: Any, z: Tensor) -> Tensor:
    """Return what z: (N, d) decodes to, row i by seed i."""
    return learner.decode(z, range(len(z))).cpu()  # type: ignore[no-any-return]


def between(a: Tensor, b: Tensor, frames: int) -> Tensor:
    """Return z on the way from a to b, (N, frames, d), of a, b: (N, d), both ends included.

    The way keeps to the length that z of N(0, I) have, as a straight one would not:
    z_r = sqrt(1 - r^2) a + r b with r the sine of equal angles.

    >>> between(torch.ones(1, 2), -torch.ones(1, 2), 3).shape
    torch.Size([1, 3, 2])
    """
    angle = torch.linspace(0, torch.pi / 2, frames)[None, :, None]
    return angle.cos() * a[:, None] + angle.sin() * b[:, None]


class PriorPath(NamedTuple):
    """Chains of the prior, long ones.

    Attributes:
        at: steps done, (T,).
        z: (T, N, d).
        log_p: (T, N), f(z) - |z|^2 / 2.
    """

    at: list[int]
    z: Tensor
    log_p: Tensor


def prior_path(learner: Any, seeds: Sequence[int], steps: int, keep: int) -> PriorPath:
    """Run chains of the prior from N(0, I), one a seed, and keep a state every so many steps."""
    states = torch.stack(learner.draw_prior(seeds, steps=steps, keep=keep))
    with at_rest(learner.f), torch.no_grad():
        values = torch.stack([log_prior(learner.f)(z) for z in states])
    return PriorPath([keep * i for i in range(len(states))], states.cpu(), values.cpu())
