import numpy as np
import pytest
import torch
from torch import Tensor

from ebm.metrics.classifier import FeatureNetwork, accuracy, embed, train_classifier
from ebm.metrics.features import extract

SETTINGS = {"classes": 3, "width": 6, "epochs": 8, "batch": 16, "rate": 0.01, "seed": 5}


def bars(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy images of three kinds: the left, the middle or the right columns are bright."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, count)
    x = random.normal(-0.5, 0.2, (count, 1, 8, 8))
    for image, label in zip(x, y, strict=True):
        image[0, :, 3 * label : 3 * label + 2] += 1
    return torch.from_numpy(x.clip(-1, 1)).float(), torch.from_numpy(y)


@pytest.fixture(scope="module")
def network() -> FeatureNetwork:
    return train_classifier(*bars(120, 0), **SETTINGS)


def test_classifier_learns_classes_that_can_be_told_apart(network: FeatureNetwork) -> None:
    assert accuracy(network, *bars(90, 1)) > 0.95


def test_same_seed_gives_the_same_bits_and_leaves_the_global_generator(
    network: FeatureNetwork,
) -> None:
    state = torch.random.get_rng_state()
    again = train_classifier(*bars(120, 0), **SETTINGS)
    other = train_classifier(*bars(120, 0), **{**SETTINGS, "seed": 6})
    assert torch.equal(state, torch.random.get_rng_state())
    x = bars(10, 2)[0]
    assert torch.equal(again(x), network(x))
    assert not torch.equal(other(x), network(x))


def test_features_have_the_width_and_stand_under_the_logits(network: FeatureNetwork) -> None:
    x = bars(7, 3)[0]
    features, logits = embed(network, x)
    assert features.shape == (7, 6) and features.dtype == torch.float64
    torch.testing.assert_close(network.head(features.float()).double(), logits)
    torch.testing.assert_close(network(x).double(), logits)


def test_gradients_reach_every_parameter() -> None:
    network = FeatureNetwork(size=16, channels=3, classes=4, width=5)
    network(torch.randn(6, 3, 16, 16)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize("size", [4, 12, 0])
def test_image_sizes_without_such_a_network_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"the image size is {size}; it must be a power of two"):
        FeatureNetwork(size=size, channels=1, classes=10, width=4)


def test_labels_out_of_range_and_unequal_counts_are_refused() -> None:
    x, y = bars(10, 0)
    with pytest.raises(ValueError, match="must lie in 0..1"):
        train_classifier(x, y.clamp(min=2), **{**SETTINGS, "classes": 2})
    with pytest.raises(ValueError, match="images have shape"):
        train_classifier(x, y[:4], **SETTINGS)


def test_classifier_serves_as_a_feature_network_like_the_others(network: FeatureNetwork) -> None:
    x = bars(30, 2)[0]
    found = extract(network, x.numpy(), 7)
    assert found == pytest.approx(embed(network, x)[0].numpy(), rel=1e-5, abs=1e-6)
