"""One property test over the networks."""

from pathlib import Path

import pytest
import torch

from ebm.checkpoint import read, write
from ebm.networks.convnet import ConvNet

SHAPES = [(2, 1, 3), (4, 3, 4), (8, 1, 8), (32, 3, 2)]


def make(size: int, channels: int, width: int) -> tuple[ConvNet, torch.Tensor]:
    torch.manual_seed(size)
    x = torch.rand(5, channels, size, size) * 2 - 1
    return ConvNet(size, channels, width), x


@pytest.mark.parametrize("shape", SHAPES)
def test_f_is_one_number_an_image(shape: tuple[int, int, int]) -> None:
    network, x = make(*shape)
    assert network(x).shape == (5,)
    width = network.head.in_features
    features = network.features(x)
    assert features.shape == (5, 5 * width)
    assert torch.allclose(network.head(features[:, -width:]).squeeze(1), network(x))


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_reach_the_image_and_every_parameter(shape: tuple[int, int, int]) -> None:
    network, x = make(*shape)
    x.requires_grad_(True)
    network(x).sum().backward()
    for name, value in [("x", x), *network.named_parameters()]:
        assert value.grad is not None and value.grad.isfinite().all(), name
        assert value.grad.abs().sum() > 0, name


@pytest.mark.parametrize("shape", SHAPES)
def test_an_image_does_not_depend_on_its_batch(shape: tuple[int, int, int]) -> None:
    network, x = make(*shape)
    alone = torch.cat([network(image[None]) for image in x])
    assert torch.allclose(alone, network(x), atol=1e-6)
    assert network(x).std() > 0


@pytest.mark.parametrize("shape", SHAPES)
def test_saved_and_loaded_network_gives_the_same_bits(
    shape: tuple[int, int, int], tmp_path: Path
) -> None:
    network, x = make(*shape)
    write(tmp_path / "network.pt", dict(network.state_dict()))
    other = ConvNet(*shape)
    assert not torch.equal(other(x), network(x))
    other.load_state_dict(read(tmp_path / "network.pt"))
    assert torch.equal(other(x), network(x))


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
