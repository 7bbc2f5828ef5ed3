"""The network that grows: what stays when it does."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ebm.learn.parts import spectral
from ebm.metrics.fine_tune import untrained
from ebm.networks.expanding import Expanding, Halving


def images(size: int, channels: int = 1) -> Tensor:
    return torch.rand(5, channels, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def grown(channels: int = 1) -> tuple[Expanding, Expanding]:
    """A network for 8x8, and the one for 16x16 that grew from it."""
    torch.manual_seed(0)
    small, large = Expanding([6, 5], channels), Expanding([6, 5, 4], channels, grown=True)
    large.grow_from(small)
    return small, large


def test_one_convolution_is_the_convolution_and_the_average_after_it() -> None:
    layer, x = Halving(3, 5), images(8, 3)
    whole = F.avg_pool2d(F.conv2d(x, layer.weight, layer.bias, padding=1), 2)
    assert torch.allclose(layer(x), whole, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_network_that_has_just_grown_is_the_smaller_one_at_half_the_side(channels: int) -> None:
    small, large = grown(channels)
    x = images(16, channels)
    assert torch.allclose(large(x), small(F.avg_pool2d(x, 2)), atol=1e-6)
    assert large(x).std() > 0


def test_new_block_fades_in_and_then_sees_the_image_alone() -> None:
    _, large = grown()
    x, alphas = images(16), []
    for _ in range(6):
        large.fade(4)
        alphas.append(float(large.alpha))
    assert alphas == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    before = large(x)
    with torch.no_grad():
        large.from_rgb["8"].weight.add_(1)
    assert torch.equal(large(x), before)


def test_fading_moves_f_in_equal_steps_of_the_map_under_the_blocks() -> None:
    _, large = grown()
    x, maps = images(16), []
    large.blocks["8"] = torch.nn.Identity()  # the map, before what is not linear
    for alpha in (0.0, 0.5, 1.0):
        large.alpha.fill_(alpha)
        maps.append(large.under(x))
    assert torch.allclose(maps[1], (maps[0] + maps[2]) / 2, atol=1e-6)


def test_each_growth_keeps_the_last_two_ways_in_alone() -> None:
    _, large = grown()
    larger = Expanding([6, 5, 4, 3], grown=True)
    larger.grow_from(large)
    assert [list(n.from_rgb) for n in (large, larger)] == [["8", "16"], ["16", "32"]]
    assert torch.equal(larger.from_rgb["16"].weight, large.from_rgb["16"].weight)
    assert torch.equal(larger.head.weight, large.head.weight) and larger.alpha == 0


@pytest.mark.parametrize("normed", [False, True])
def test_gradients_are_finite_and_reach_the_image_and_every_parameter(normed: bool) -> None:
    _, large = grown()
    if normed:
        spectral(large)
    large.fade(2)
    x = images(16).requires_grad_(True)
    large(x).sum().backward()
    for name, value in [("x", x), *large.named_parameters()]:
        assert value.grad is not None and value.grad.isfinite().all() and value.grad.any(), name


def test_features_end_with_what_the_last_layer_sees() -> None:
    small, _ = grown()
    h = small.features(images(8))
    assert h.shape == (5, 17 * 6)
    assert torch.allclose(small.head(h[:, -6:]).squeeze(1), small(images(8)), atol=1e-6)


def test_what_varies_in_the_images_still_varies_in_the_last_layer_at_the_start() -> None:
    torch.manual_seed(0)
    x = images(32)
    assert Expanding([64, 32, 16, 8]).features(x).std(0).mean() > 0.1 * x.std(0).mean()


def test_network_drawn_anew_keeps_its_alpha() -> None:
    _, large = grown()
    large.fade(2)
    fresh = untrained(large, seed=1)
    assert fresh.alpha == 0.5 and not torch.equal(fresh(images(16)), large(images(16)))


def test_what_cannot_grow_is_refused() -> None:
    small, large = grown()
    with pytest.raises(ValueError, match="side 16 cannot grow from one of side 16"):
        large.grow_from(large)
    with pytest.raises(ValueError, match="side 8 cannot grow from one of side 8"):
        small.grow_from(small)
    with pytest.raises(ValueError, match=r"widths is \[4\]; it needs one for each side"):
        Expanding([4])
