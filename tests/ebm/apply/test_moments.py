import numpy as np
import pytest
import torch
from torch import nn

from ebm.apply.moments import features, gap, last_layer, sampling_error
from ebm.networks.convnet import ConvNet


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
