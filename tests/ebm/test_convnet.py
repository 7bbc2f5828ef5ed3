"""What the convolutional network promises beyond what every network does."""

import pytest
import torch

from ebm.learn.parts import spectral
from ebm.metrics.fine_tune import untrained
from ebm.networks.convnet import ConvNet


def make(size: int, channels: int, width: int) -> tuple[ConvNet, torch.Tensor]:
    torch.manual_seed(size)
    x = torch.rand(5, channels, size, size) * 2 - 1
    return ConvNet(size, channels, width), x


@pytest.mark.parametrize("size", [0, 1, 6, 12])
def test_sizes_that_cannot_be_halved_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"image size is {size}"):
        ConvNet(size)


def test_widest_stops_the_doubling() -> None:
    widths = [m.out_channels for m in ConvNet(32, 1, 16, 32).body if isinstance(m, torch.nn.Conv2d)]
    assert widths == [16, 32, 32, 32]
    with pytest.raises(ValueError, match="widest is 8; it must be width, 16, or more"):
        ConvNet(32, 1, 16, 8)


@pytest.mark.parametrize("size", [8, 32, 64])
def test_what_varies_in_the_images_still_varies_in_the_last_layer_at_the_start(size: int) -> None:
    network, x = make(size, 1, 16)
    assert network.features(x).std(0).mean() > 0.1 * x.std(0).mean()


def test_weights_are_drawn_anew_and_the_same_by_the_same_seed() -> None:
    network, x = make(8, 1, 8)
    before = network(x)
    torch.manual_seed(8)
    network.reset_parameters()
    assert torch.equal(network(x), before) is False
    again, _ = make(8, 1, 8)
    assert torch.equal(again(x), before)


def test_a_head_of_size_zero_starts_with_f_zero_that_can_learn() -> None:
    network = ConvNet(size=8, width=4, head_scale=0.0)
    f = network(torch.randn(3, 1, 8, 8))
    f.sum().backward()
    assert torch.equal(f, torch.zeros(3))
    assert network.head.weight.grad is not None
    assert network.head.weight.grad.abs().max() > 0


def test_weights_under_spectral_normalisation_are_drawn_anew_too() -> None:
    torch.manual_seed(0)
    network = spectral(ConvNet(8, 1, 8))
    layers = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    before = [layer.parametrizations.weight.original.clone() for layer in layers]
    fresh, other = untrained(network, 1), ConvNet(8, 1, 8)
    drawn = [m for m in fresh.modules() if isinstance(m, torch.nn.Conv2d)]
    plain = [m for m in other.modules() if isinstance(m, torch.nn.Conv2d)]
    for old, kept, layer, free in zip(before, layers, drawn, plain, strict=True):
        new = layer.parametrizations.weight.original
        assert not torch.isclose(new, old).any()
        assert new.std().item() == pytest.approx(free.weight.std().item(), rel=0.3)
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() < 1.2
        assert torch.equal(kept.parametrizations.weight.original, old)
