"""Predictions that lie apart."""

import pytest
import torch

from ebm.apply.spread import spread


def test_one_of_each_cluster_is_kept_however_many_it_has() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    member = torch.tensor([0] * 90 + [1] * 6 + [2] * 4)[torch.randperm(100, generator=generator)]
    x = centres[member] + 0.1 * torch.randn(2, 100, 2, generator=generator)
    kept = spread(x, 3)
    assert kept.shape == (2, 3)
    for row in kept:
        assert sorted(member[row].tolist()) == [0, 1, 2]


def test_on_a_line_of_equal_steps_the_middles_of_equal_parts_are_kept() -> None:
    x = torch.arange(9.0).reshape(1, 9, 1)
    assert sorted(spread(x, 3)[0].tolist()) == [1, 4, 7]
    assert sorted(spread(x, 9)[0].tolist()) == list(range(9))


def test_more_than_there_are_cannot_be_kept() -> None:
    with pytest.raises(ValueError, match="count is 4, of 3 candidates"):
        spread(torch.zeros(1, 3, 2), 4)
