"""Labels beside the data, for a learner whose attribute `labelled` is True.

Its `learn` takes the batch's labels, (N,), besides; its `check_labels` is shown all of them, (M,),
before the first iteration, and refuses those that it has no class for.
"""

from typing import Any

from torch import Tensor


def fitting(labels: Tensor | None, data: Tensor, learner: Any) -> list[Tensor]:
    """Return what a batch takes beside the data, (M, ...): labels, (M,), or nothing.

    The learner looks at all labels once, by `check_labels`.

    Raises:
        ValueError: there are more or fewer than data, or the learner refuses them.
    """
    if labels is None:
        return []
    if labels.shape != data.shape[:1]:
        raise ValueError(f"labels are {tuple(labels.shape)}; give one a datum, ({len(data)},)")
    learner.check_labels(labels)
    return [labels.to(data.device)]
