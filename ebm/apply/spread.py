"""K predictions taken of many, so that they lie apart: the members nearest to the means of k-means.

K independent draws repeat what is likely and miss what is less so; for the best of K they had
better share the distribution out among themselves. The truth is not looked at.

Source: Mangalam, An, Girase, Malik, arXiv:2012.01526 (clusters of goals, drawn many times); Xu,
Hayet, Karamouzas, arXiv:2203.08217 (clusters of final positions).
"""

import torch
from torch import Tensor

REVISION = 1

ROUNDS = 10  # of k-means


def spread(x: Tensor, count: int) -> Tensor:
    """Return which rows to keep, (N, K): of each cluster the one nearest to its mean.

    Args:
        x: (N, M, D), candidates of each of N agents.
        count: K, at most M. The first means are candidates, each the farthest from those before.

    Raises:
        ValueError: there are fewer candidates than are to be kept.
    """
    if not 1 <= count <= x.shape[1]:
        raise ValueError(f"count is {count}, of {x.shape[1]} candidates; it must be 1 to that")
    means = first_means(x, count)
    for _ in range(ROUNDS):
        member = nearest(x, means)
        one = torch.nn.functional.one_hot(member, count).to(x.dtype).mT  # (N, K, M)
        size = one.sum(2, keepdim=True)
        means = torch.where(size > 0, (one @ x) / size.clamp(min=1), means)
    return torch.cdist(means, x).argmin(2)


def first_means(x: Tensor, count: int) -> Tensor:
    """Return K candidates, (N, K, D): the first, then each the farthest from those before."""
    rows = torch.arange(len(x), device=x.device)
    chosen = [x[:, 0]]
    away = torch.linalg.vector_norm(x - x[:, :1], dim=2)
    for _ in range(count - 1):
        chosen.append(x[rows, away.argmax(1)])
        away = torch.minimum(away, torch.linalg.vector_norm(x - chosen[-1][:, None], dim=2))
    return torch.stack(chosen, 1)


def nearest(x: Tensor, means: Tensor) -> Tensor:
    """Return the number of the mean, (N, M), that is nearest to each candidate (N, M, D)."""
    return torch.cdist(x, means).argmin(2)
