"""The second opinion on log Z, on a density whose Z is known."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from tasks.second_opinion import second_opinion

LOG_Z = math.log(2 * math.pi * 0.3 * 1.1) + 1.5


class Known:
    """exp(score) is a Gaussian of sds .3 and 1.1, times e^1.5."""

    shape, networks = (2,), nn.Linear(1, 1)

    def __init__(self, reference: float | None) -> None:
        self.settings = SimpleNamespace(reference=reference)

    def score(self, x: Tensor) -> Tensor:
        return 1.5 - (x / torch.tensor([0.3, 1.1])).square().sum(1) / 2


@pytest.mark.parametrize("off", [0.0, 0.7])
def test_error_of_a_learned_log_z_is_seen_by_chains(off: float) -> None:
    (row,) = second_opinion(Known(2.0), LOG_Z + off, seed=0)
    assert row["metric"] == "log_z_ais" and row["samples"] == 1000
    assert row["value"] == pytest.approx(off, abs=3 * row["spread"]) and row["spread"] < 0.05
    assert "of equal weight" in row["about"]


def test_nothing_is_said_where_nothing_was_learned_or_no_reference_can_be_drawn() -> None:
    assert second_opinion(Known(2.0), None, seed=0) == []
    assert second_opinion(Known(None), 1.0, seed=0) == []
