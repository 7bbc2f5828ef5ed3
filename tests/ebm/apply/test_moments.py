from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ebm.apply.chain import Chain
from ebm.apply.moments import features, gap, last_layer, sampling_error
from ebm.fit import fit
from ebm.learn.maximum_likelihood import MaximumLikelihood
from ebm.learn.maximum_likelihood_settings import MaximumLikelihoodSettings
from ebm.learner import FitSettings
from ebm.networks.convnet import ConvNet
from ebm.samplers.noise import seed_range

TOP: dict[str, Any] = {
    "network": {"kind": "convnet", "size": 4, "channels": 1, "width": 8},
    "reference": None,
    "start": {"start": "noise", "noise": "gaussian", "scale": 0.3},
    "sample_from": {"noise": "gaussian", "scale": 0.3},
    "chain": {"steps": 10, "sample_steps": 10, "step_size": 2.0, "noise": 0.01},
    "data_noise": 0.03,
    "decay": 0.0,
    "optimiser": {"kind": "adam", "rate": 0.02, "momentum": 0.9},
    "learned": "head",
}
FIT = FitSettings(
    updates=120,
    batch=100,
    average=0.9,
    final_rate=0.05,
    check_every=100,
    checkpoint_every=1000,
    gap_limit=1000.0,
    rollbacks=0,
    slow_down=0.5,
)


def gap_of(learner: MaximumLikelihood, x: torch.Tensor, steps: int) -> float:
    """Return the gap of data to as many chains of so many steps."""
    chain, seeds = Chain(learner), seed_range(7, len(x))
    ends = chain.run(chain.starts(seeds), seeds, steps)
    data = learner.blur(x, seed_range(8, len(x)))
    return gap(features(learner.f, data), features(learner.f, ends))


def test_features_are_the_gradient_of_f_in_the_last_layers_weights() -> None:
    torch.manual_seed(0)
    network = ConvNet(size=8, width=4)
    x = torch.rand(3, 1, 8, 8)
    h = features(network, x)
    for image, row in zip(x, h, strict=True):
        network.zero_grad()
        network(image[None]).sum().backward()
        np.testing.assert_allclose(network.head.weight.grad[0].numpy(), row, atol=1e-6)
    assert network.training


def test_network_without_one_last_linear_layer_is_refused() -> None:
    for network in (nn.Conv2d(1, 1, 3), nn.Linear(3, 2)):
        with pytest.raises(ValueError, match="does not end in a linear layer with one output"):
            last_layer(network)


def test_gap_is_the_shift_in_standard_deviations() -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(0, [1, 2, 2], (20_000, 3))
    assert gap(data, data) == 0
    assert gap(data, data + [3.0, 0, 0]) == pytest.approx(1.0, rel=0.02)  # 3 / sqrt(1 + 4 + 4)


def test_gap_of_two_sets_of_one_law_is_the_sampling_error() -> None:
    rng = np.random.default_rng(0)
    squares = [gap(rng.normal(size=(40, 5)), rng.normal(size=(10, 5))) ** 2 for _ in range(2000)]
    assert np.mean(squares) ** 0.5 == pytest.approx(sampling_error(40, 10), rel=0.05)


def test_gap_of_a_short_run_model_closes_and_that_of_its_long_chains_does_not() -> None:
    """The last layer alone is learned, without decay, on images of a few pixels."""
    torch.manual_seed(0)
    learner = MaximumLikelihood(MaximumLikelihoodSettings.model_validate(TOP))
    x = torch.where(torch.rand(500, 1, 4, 4) < 0.3, 0.8, -0.8)
    fitted = fit(learner, x, FIT, seed=0)
    learner.networks.load_state_dict(fitted.networks.state_dict())
    floor = sampling_error(500, 500)
    assert gap_of(learner, x, 0) > 5 * floor
    assert gap_of(learner, x, 10) < 1.5 * floor
    assert gap_of(learner, x, 100) > 10 * floor
