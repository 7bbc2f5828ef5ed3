"""Pictures that are odd, huge or none, and the pictures of masks."""

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ebm.datasets import picture
from ebm.datasets.picture import dimensions, read_mask, read_picture


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


def saved(folder: Path, pixels: np.ndarray, name: str = "a.png", **how: Any) -> Path:
    Image.fromarray(pixels).save(folder / name, **how)
    return folder / name


def test_large_picture_is_read_in_bands_to_the_same_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, noise(50, 50, 3))
    whole, _ = read_picture(path, 7, 3)
    monkeypatch.setattr(picture, "BAND", 50 * 4)
    assert np.allclose(read_picture(path, 7, 3)[0], whole, atol=1e-6)
    means = noise(50, 50, 3).astype(float).mean((0, 1)) / 127.5 - 1
    assert np.allclose(whole.mean((1, 2)), means, atol=1e-6)


def test_picture_of_too_many_pixels_is_refused_by_their_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, noise(2000, 1600))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10**6)
    with pytest.raises(ValueError, match="it has more than 2 million pixels; make it smaller"):
        read_picture(path, 8, 1)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2 * 10**6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_picture(path, 8, 1)[1] == 1600


def test_what_is_no_file_to_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    for name, why in {
        "folder.png": "it is a folder",
        "pipe.png": "it is empty",
        "loop.png": "it cannot be opened: ",
        "none.png": "it cannot be opened: No such file or directory",
    }.items():
        for reader in (lambda path: read_picture(path, 4, 1), dimensions):
            with pytest.raises(ValueError, match=why):
                reader(tmp_path / name)


def test_strip_is_read_by_its_middle_pixel(tmp_path: Path) -> None:
    pixels = np.zeros((1, 9), np.uint8)
    pixels[0, 4] = 255
    image, side = read_picture(saved(tmp_path, pixels), 4, 3)
    assert side == 1 and (image == 1).all()


def test_name_may_be_in_any_script(tmp_path: Path) -> None:
    assert read_picture(saved(tmp_path, noise(4, 4), "Übung 猫.png"), 4, 1)[1] == 4


# Masks


def hidden(folder: Path, white: tuple[slice, slice], side: int = 12, size: int = 4) -> np.ndarray:
    pixels = np.zeros((side, side), np.uint8)
    pixels[white] = 255
    mask, (width, height) = read_mask(saved(folder, pixels), size)
    assert mask.dtype == bool and mask.shape == (size, size) and width == height == side
    return mask


def test_white_hides_and_any_white_hides_a_whole_pixel(tmp_path: Path) -> None:
    assert not hidden(tmp_path, (slice(0), slice(0))).any()
    assert hidden(tmp_path, (slice(None), slice(None))).all()
    left = hidden(tmp_path, (slice(None), slice(0, 6)))
    assert left[:, :2].all() and not left[:, 2:].any()
    one = hidden(tmp_path, (slice(7, 8), slice(0, 1)))
    assert one.sum() == 1 and one[2, 0]
    assert hidden(tmp_path, (slice(999, 1000), slice(999, 1000)), side=1000).sum() == 1


def test_sizes_that_do_not_divide_hide_nothing_by_rounding(tmp_path: Path) -> None:
    for side, size in ((10, 3), (49, 7), (1000, 64), (333, 9)):
        edge = side // 2
        mask = hidden(tmp_path, (slice(None), slice(0, edge)), side, size)
        right = np.arange(size) * side / size < edge - 1e-9
        assert (mask == right).all(), (side, size)


def test_soft_edge_is_cut_at_half(tmp_path: Path) -> None:
    pixels = np.uint8([[0, 127, 128, 255]] * 4)
    mask, _ = read_mask(saved(tmp_path, pixels), 4)
    assert (mask == [False, False, True, True]).all()


def test_mask_goes_the_way_of_its_picture(tmp_path: Path) -> None:
    pixels = np.zeros((8, 12), np.uint8)
    pixels[:4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turned clockwise: white is at the right then
    path = saved(tmp_path, pixels, exif=exif)
    mask, size = read_mask(path, 2)
    assert size == dimensions(path) == (8, 12)
    assert (mask == [[False, True]] * 2).all()
    assert ((read_picture(path, 2, 1)[0][0] > 0) == mask).all()


@pytest.mark.parametrize("kind", ["1", "P", "RGB", "I;16", "RGBA"])
def test_mask_may_be_of_any_kind_of_picture(tmp_path: Path, kind: str) -> None:
    grey = Image.fromarray(np.uint8([[0, 255]] * 2))
    deep = Image.fromarray(np.uint16([[0, 65535]] * 2))
    (deep if kind == "I;16" else grey.convert(kind)).save(tmp_path / "a.png")
    assert (read_mask(tmp_path / "a.png", 2)[0] == [[False, True]] * 2).all()


def test_transparent_mask_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, np.uint8([[[255, 255, 255, 0]]]))
    with pytest.raises(ValueError, match="it has transparent parts, .* flatten it"):
        read_mask(path, 1)
