"""The energy distance of two sets of points."""

import pytest
import torch

from ebm.metrics.energy_distance import energy_distance


def test_energy_distance_is_that_of_the_closed_form_and_none_for_equal_distributions() -> None:
    """Of two points: 2 |a - b|. Of shifted normal points: by Monte Carlo, above that of none."""
    one, other = torch.zeros(2, 2), torch.tensor([[3.0, 4.0], [3.0, 4.0]])
    assert energy_distance(one, other) == pytest.approx(10.0)
    draws = torch.randn(2, 1000, 2, generator=torch.Generator().manual_seed(0))
    assert abs(energy_distance(draws[0], draws[1])) < 0.01
    assert energy_distance(draws[0], draws[1] + 0.5) > 0.1
