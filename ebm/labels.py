"""What a learner is told of a batch beside the data.

One whose attribute `labelled` is True: the batch's labels, (N,); its `check_labels` is shown all of
them, (M,), before the first iteration, and refuses those that it has no class for. One that is
`indexed`: the batch's rows of the data, (N,), since it keeps something of each item.
"""

from typing import Any

import torch
from torch import Tensor


def fitting(labels: Tensor | None, data: Tensor, learner: Any) -> list[Tensor]:
    """Return what a batch takes beside the data, (M, ...): labels and rows, (M,) each, or neither.

    The learner looks at all labels once, by `check_labels`.

    Raises:
        ValueError: there are more or fewer than data, or the learner refuses them.
    """
    rows = [torch.arange(len(data), device=data.device)] if is_indexed(learner) else []
    if labels is None:
        return rows
    if labels.shape != data.shape[:1]:
        raise ValueError(f"labels are {tuple(labels.shape)}; give one a datum, ({len(data)},)")
    learner.check_labels(labels)
    return [labels.to(data.device), *rows]


def is_indexed(learner: Any) -> bool:
    """Tell whether a learner keeps something of each training item."""
    return bool(getattr(learner, "indexed", False))
