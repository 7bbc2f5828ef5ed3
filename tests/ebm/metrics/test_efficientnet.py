from pathlib import Path

import pytest
import torch

from ebm.checksum import sha256
from ebm.datasets import source_of
from ebm.metrics.efficientnet import INPUT, STANDARD, EfficientNet, bare, efficientnet_input


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random weights."""
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.manual_seed(0)
    torch.save(bare().state_dict(), path)
    return path


def test_small_grey_images_are_enlarged_repeated_and_scaled_as_the_network_was_trained() -> None:
    x = torch.tensor([-1.0, 1.0, -3.0, 2.0])[:, None, None, None].expand(4, 1, 8, 8)
    shown = efficientnet_input(x)
    assert shown.shape == (4, 3, INPUT, INPUT)
    ends = torch.tensor([0.0, 255.0, 0.0, 255.0]).sub(127).div(128)
    assert torch.allclose(shown, ends[:, None, None, None].expand_as(shown))


def test_large_images_keep_their_pixels() -> None:
    x = torch.rand(2, 3, INPUT, INPUT + 2) * 2 - 1
    assert torch.allclose(efficientnet_input(x), ((x + 1) * 127.5 - 127) / 128)


def test_features_are_the_averaged_maps_and_leave_the_random_numbers_alone(weights: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    network = EfficientNet(weights, sha256(weights), "cpu")
    assert torch.equal(torch.get_rng_state(), before)
    x = torch.rand(3, 1, 16, 16) * 2 - 1
    h = network.features(x)
    assert h.shape == (3, 1280)
    assert torch.allclose(network.features(x[1:2]), h[1:2], atol=1e-5), "one image, alone"
    maps = network.network.extract_features(efficientnet_input(x))
    assert torch.allclose(maps.flatten(2).mean(2), h)
    assert network.name == f"efficientnet_lite0_{sha256(weights)[:8]}"


def test_the_source_is_the_standard_file() -> None:
    assert list(source_of("efficientnet").files.values()) == [STANDARD]


def test_other_missing_and_unfit_weights_are_refused(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has the sha256"):
        EfficientNet(weights, "0" * 64, "cpu")
    with pytest.raises(ValueError, match="weights of efficientnet, is missing"):
        EfficientNet(tmp_path / "none.pth", "0" * 64, "cpu")
    bad = {"words.pth": b"no weights", "list.pth": None, "other.pth": None}
    script = torch.jit.script(torch.nn.Linear(2, 2))
    script.save(str(tmp_path / "script.pth"))
    bad["script.pth"] = (tmp_path / "script.pth").read_bytes()
    bad["two_bytes.pth"] = b"\x80\x02"
    for name, content in bad.items():
        path = tmp_path / name
        if content:
            path.write_bytes(content)
        else:
            torch.save([1] if name == "list.pth" else {"a": torch.zeros(1)}, path)
        with pytest.raises(ValueError, match=f"{name} does not fit EfficientNet-Lite0"):
            EfficientNet(path, sha256(path), "cpu")


def test_images_of_two_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="2 channels; EfficientNet takes 1 or 3"):
        efficientnet_input(torch.zeros(1, 2, 8, 8))
