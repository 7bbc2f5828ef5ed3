"""The idx files of MNIST and Fashion-MNIST: read whole, or refused by name."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from ebm.datasets import fashion, mnist
from ebm.datasets.idx import Options, framed, read_idx

FUNCTION = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def packed(array: np.ndarray) -> bytes:
    """Return an array of bytes in the idx form."""
    head = bytes([0, 0, 8, array.ndim])
    return head + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def put(folder: Path, train: str = "train", items: int = 6, tests: int = 4) -> Path:
    """Write the four files of a toy: the pixels and the label of image i are i, mod 10."""
    for part, first, count in ((train, 0, items), ("t10k", items, tests)):
        numbers = np.arange(first, first + count, dtype=np.uint8)
        images = np.broadcast_to(numbers[:, None, None], (count, 28, 28))
        (folder / f"{part}-images-idx3-ubyte").write_bytes(packed(images))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(packed(numbers % 10))
    return folder


@FUNCTION
@given(arrays(np.uint8, array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)))
def test_every_array_comes_back(tmp_path: Path, array: np.ndarray) -> None:
    path = tmp_path / "file"
    path.write_bytes(packed(array))
    assert np.array_equal(read_idx(path), array)


@FUNCTION
@given(arrays(np.uint8, array_shapes(max_dims=3, max_side=5)), st.data())
def test_every_cut_and_every_addition_is_refused_by_name(
    tmp_path: Path, array: np.ndarray, data: st.DataObject
) -> None:
    path, content = tmp_path / "file", packed(array)
    keep = data.draw(st.integers(0, len(content) - 1))
    for wrong in (content[:keep], content + b"\0"):
        path.write_bytes(wrong)
        with pytest.raises(ValueError, match=r"file (is no idx file|has \d+ bytes)"):
            read_idx(path)


@FUNCTION
@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    try:
        array = read_idx(path)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        assert packed(array) == content


@pytest.mark.parametrize("axes", [[0, *[2**31] * 10], [0] * 80])
def test_shape_that_no_array_can_have_is_refused_by_name(tmp_path: Path, axes: list[int]) -> None:
    lengths = b"".join(axis.to_bytes(4, "big") for axis in axes)
    (tmp_path / "given").write_bytes(bytes([0, 0, 8, len(axes)]) + lengths)
    with pytest.raises(ValueError, match="given is of shape .*, which no array can have"):
        read_idx(tmp_path / "given")


@pytest.mark.parametrize(
    ("module", "train"),
    [(mnist, "train"), (fashion, "train"), (fashion, "train-first20000")],
)
def test_first_training_images_come_before_the_official_test_part(
    tmp_path: Path, module: ModuleType, train: str
) -> None:
    images, labels, test, *_ = module.load(put(tmp_path, train), Options(size=32, items=5))
    assert images.shape == (9, 1, 32, 32) and images.dtype == np.float32
    numbers = np.array([0, 1, 2, 3, 4, 6, 7, 8, 9])
    assert np.array_equal(labels, numbers % 10) and labels.dtype == np.int64
    assert test.tolist() == [5, 6, 7, 8]
    assert np.allclose(images[:, 0, 16, 16], numbers / 127.5 - 1)


def test_picture_stands_in_the_middle_of_a_ground_of_minus_one() -> None:
    images = framed(np.full((1, 28, 28), 255, np.uint8), 32)
    assert np.array_equal(images[0, 0, 2:30, 2:30], np.ones((28, 28)))
    assert images.sum() == 28 * 28 - (32 * 32 - 28 * 28)
    assert framed(np.zeros((1, 28, 28), np.uint8), 28).max() == -1


@pytest.mark.parametrize("size", [27, 29, 14])
def test_size_that_leaves_no_even_border_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=rf"options.size is {size}; it must be 28, 30, 32"):
        framed(np.zeros((1, 28, 28), np.uint8), size)


def test_more_images_than_there_are_is_refused_with_the_count(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"options.items is 7; .*train-\* holds 6 images"):
        mnist.load(put(tmp_path), Options(size=32, items=7))


def test_missing_file_is_named(tmp_path: Path) -> None:
    (put(tmp_path) / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(ValueError, match="t10k-labels-idx1-ubyte is missing; run its fetch stage"):
        mnist.load(tmp_path, Options(size=32, items=5))


@pytest.mark.parametrize("wrong", [np.zeros(5, np.uint8), np.zeros((6, 2), np.uint8)])
def test_labels_that_do_not_fit_the_images_are_refused(tmp_path: Path, wrong: np.ndarray) -> None:
    (put(tmp_path) / "train-labels-idx1-ubyte").write_bytes(packed(wrong))
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte has shape \(6, 28, 28\) and"):
        mnist.load(tmp_path, Options(size=32, items=5))


def test_label_that_is_no_class_is_refused(tmp_path: Path) -> None:
    put(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(packed(np.uint8([0, 9, 10, 3])))
    with pytest.raises(ValueError, match="t10k-labels-idx1-ubyte gives item 2 the label 10; with"):
        mnist.load(tmp_path, Options(size=28, items=6))
