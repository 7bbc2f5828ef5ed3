"""CIFAR-10's sheets: cut into images in their order, or refused by name."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ebm.datasets.cifar10 import Options, load


def sheet(first: int, count: int = 500) -> Image.Image:
    """Return a sheet whose image i has the colour (n, n // 256, 9) throughout, n = first + i."""
    numbers = np.arange(first, first + count)
    colours = np.stack([numbers % 256, numbers // 256, np.full(count, 9)], 1).astype(np.uint8)
    return Image.fromarray(np.repeat(np.repeat(colours[:, None], 32, 0), 32, 1))


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """1,000 training and 500 test images."""
    for part, first in (("train_000", 0), ("train_001", 500), ("test_000", 1000)):
        sheet(first).save(tmp_path / f"{part}.webp", lossless=True)
    labels = (np.arange(1500) % 10).astype(np.uint8)
    np.savez(tmp_path / "labels.npz", train=labels[:1000], test=labels[1000:])
    return tmp_path


def test_images_come_in_their_order_and_the_test_part_last(raw: Path) -> None:
    images, labels, test, *_ = load(raw, Options(items=600))
    numbers = np.r_[0:600, 1000:1500]
    assert images.shape == (1100, 3, 32, 32) and images.dtype == np.float32
    assert np.array_equal(labels, numbers % 10) and labels.dtype == np.int64
    assert test is not None and test.tolist() == list(range(600, 1100))
    colours = (images + 1) * 127.5
    assert np.allclose(colours[:, 0], (numbers % 256)[:, None, None], atol=1e-3)
    assert np.allclose(colours[:, 1], (numbers // 256)[:, None, None], atol=1e-3)
    assert np.allclose(colours[:, 2], 9, atol=1e-3)


def test_more_images_than_there_are_is_refused_with_the_count(raw: Path) -> None:
    with pytest.raises(ValueError, match="options.items is 1001; .* holds 1000"):
        load(raw, Options(items=1001))


@pytest.mark.parametrize("keep", [0, 20, 500])
def test_truncated_sheet_is_refused_by_name(raw: Path, keep: int) -> None:
    path = raw / "train_001.webp"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"train_001\.webp cannot be read as a picture"):
        load(raw, Options(items=600))
    load(raw, Options(items=500))  # which does not read it


def test_missing_or_wrong_sheet_is_refused_by_name(raw: Path) -> None:
    sheet(0, 499).save(raw / "train_000.webp", lossless=True)
    with pytest.raises(ValueError, match=r"train_000\.webp has 32x15968 pixels"):
        load(raw, Options(items=10))
    (raw / "train_000.webp").unlink()
    with pytest.raises(ValueError, match=r"train_000\.webp is missing; run the stage fetch@cifar"):
        load(raw, Options(items=10))


def test_damaged_labels_are_refused_by_name(raw: Path) -> None:
    (raw / "labels.npz").write_bytes(b"no labels")
    with pytest.raises(ValueError, match=r"labels\.npz cannot be read as labels"):
        load(raw, Options(items=10))


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (
            np.uint8([3, 11] * 250),
            r"gives item 1 the label 11; with 10 classes .* in 0\.\.9",
        ),
        (np.int64([-1] * 500), "gives item 0 the label -1"),
        (np.float32([0.5] * 500), r"labels of shape \(500,\), float32; they must be whole numbers"),
        (np.zeros((500, 10), np.uint8), r"labels of shape \(500, 10\)"),
    ],
)
def test_label_that_is_no_class_is_refused(raw: Path, labels: np.ndarray, says: str) -> None:
    np.savez(raw / "labels.npz", train=np.zeros(1000, np.uint8), test=labels)
    with pytest.raises(ValueError, match="labels.npz .*" + says):
        load(raw, Options(items=600))
