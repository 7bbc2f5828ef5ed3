"""Who is beside whom: agents that are seen over the same frames of one scene."""

import torch
from torch import Tensor

REVISION = 1


class Crowd:
    """Pasts by window, so that the neighbours of an agent can be looked up.

    Args:
        past: (M, S, 2).
        window: (M,), the window of each; rows of one window follow each other.

    Raises:
        ValueError: rows of a window are apart.
    """

    def __init__(self, past: Tensor, window: Tensor) -> None:
        self.past = past
        self.windows, counts = torch.unique_consecutive(window, return_counts=True)
        if len(self.windows.unique()) < len(self.windows):
            raise ValueError("rows of one window are apart; keep those of a window together")
        self.windows, order = self.windows.sort()
        ends = counts.cumsum(0)
        self.first, self.count = (ends - counts)[order], counts[order]
        self.most = int(counts.max())

    def beside(
        self, past: Tensor, window: Tensor, most: int, reach: float
    ) -> tuple[Tensor, Tensor]:
        """Return the nearest neighbours of agents, and where there are any.

        Args:
            past: (N, S, 2), of agents in these windows.
            window: (N,).
            most: M, neighbours of an agent at most.
            reach: distance at the last position seen beyond which nobody counts.

        Returns:
            (N, M, S, 2), whatever where there is none, and (N, M) boolean.
        """
        place = torch.searchsorted(self.windows, window).clamp(max=len(self.windows) - 1)
        known = self.windows[place] == window  # of a window that nobody is in there is no neighbour
        rank = torch.arange(self.most, device=past.device)
        inside = (rank < self.count[place][:, None]) & known[:, None]
        rows = torch.where(inside, self.first[place][:, None] + rank, 0)
        found = self.past[rows]
        own = (found == past[:, None]).flatten(2).all(2)
        away = torch.linalg.vector_norm(found[:, :, -1] - past[:, None, -1], dim=2)
        away = away.masked_fill(~inside | own | (away > reach), torch.inf)
        nearest, order = away.topk(min(most, self.most), dim=1, largest=False)
        chosen = found[torch.arange(len(past), device=past.device)[:, None], order]
        return chosen, nearest.isfinite()
