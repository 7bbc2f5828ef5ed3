"""Values that are not finite: refused in data, named in parameters and in states."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn


def check_finite(data: Tensor) -> None:
    """Refuse data (M, ...) of which a value is not finite.

    Raises:
        ValueError: naming the first item that holds one.
    """
    bad = (~torch.isfinite(data.flatten(1))).any(1).nonzero()
    if len(bad):
        raise ValueError(
            f"the training data hold a value that is not finite, first in item {int(bad[0])}; "
            "mend or leave out that item and prepare the data again"
        )


def first_non_finite(networks: nn.Module) -> str | None:
    """Return the name of the first parameter that holds a value that is not finite."""
    found = networks.named_parameters()
    return next((name for name, value in found if not bool(torch.isfinite(value).all())), None)


def non_finite(state: Any, name: str = "") -> Iterator[str]:
    """Yield the dotted names of the tensors in a tree of dicts and lists that are not finite."""
    if isinstance(state, Tensor) and state.is_floating_point():
        if not bool(torch.isfinite(state).all()):
            yield name
    elif isinstance(state, dict | list):
        items = state.items() if isinstance(state, dict) else enumerate(state)
        for key, value in items:
            yield from non_finite(value, f"{name}.{key}" if name else str(key))
