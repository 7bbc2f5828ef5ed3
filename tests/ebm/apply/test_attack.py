"""Attacks stay in their ball, and find what a linear classifier errs on."""

import pytest
import torch
from torch import Tensor

from ebm.apply.attack import Norm, attack

W = torch.tensor([3.0, 4.0])


def scores(x: Tensor) -> Tensor:
    """Class 1 where w . x > 0; w has the L2 norm 5, and 7 is the sum of its parts."""
    return torch.stack([torch.zeros(len(x)), x @ W], 1)


@pytest.mark.parametrize(("norm", "length"), [("l2", 5.0), ("linf", 7.0)])
def test_linear_classifier_is_fooled_exactly_beyond_its_margin(norm: Norm, length: float) -> None:
    x = torch.tensor([[0.1, 0.1], [0.2, 0.1], [-0.1, -0.2]])
    y = scores(x).argmax(1)
    margin = (x @ W).abs() / length
    for size in (0.05, 0.12, 0.18, 0.3):
        found = attack(scores, x, y, size=size, norm=norm, steps=20)
        assert ((scores(found).argmax(1) != y) == (size > margin)).all()
        moved = (found - x).norm(dim=1) if norm == "l2" else (found - x).abs().amax(1)
        assert (moved <= size + 1e-6).all()


def test_images_stay_in_range_and_no_size_changes_nothing() -> None:
    x, y = torch.tensor([[0.99, -0.5]]), torch.tensor([1])
    assert torch.equal(attack(scores, x, y, size=0.0, norm="l2", steps=3), x)
    assert attack(scores, x, 1 - y, size=1.0, norm="linf", steps=3).abs().max() <= 1


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="size is -1 and steps is 0"):
        attack(scores, torch.zeros(1, 2), torch.zeros(1).long(), size=-1, norm="l2", steps=0)
