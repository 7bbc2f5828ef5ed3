"""A folder of one's own pictures: every kind is read as a person sees it, the rest is named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ebm.datasets.folder import Options, load
from ebm.datasets.picture import read_picture

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def options(**changes: Any) -> Options:
    return Options(**{"size": 4, "channels": 3, "least": 1, **changes})


def plain(colour: Any, mode: str = "RGB", size: tuple[int, int] = (8, 8)) -> Image.Image:
    return Image.new(mode, size, colour)


def saved(folder: Path, name: str, image: Image.Image, **how: Any) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **how)
    return path


def colour(path: Path, channels: int = 3) -> list[float]:
    """Return a plain picture's colour, 0..1."""
    image, _ = read_picture(path, 4, channels)
    assert image.shape == (channels, 4, 4) and image.dtype == np.float32
    assert np.ptp(image, (1, 2)).max() < 0.02
    return [round(float(value), 2) for value in (image.mean((1, 2)) + 1) / 2]


@pytest.mark.parametrize(
    ("name", "image", "seen"),
    [
        ("a.png", plain(RED), [1, 0, 0]),
        ("a.bmp", plain(BLUE), [0, 0, 1]),
        ("a.tiff", plain(GREEN), [0, 1, 0]),
        ("a.webp", plain((255, 255, 0)), [1, 1, 0]),
        ("a.jpg", plain((51, 102, 204)), [0.2, 0.4, 0.8]),
        ("cmyk.jpg", plain((0, 0, 0, 255), "CMYK"), [0, 0, 0]),
        ("grey.png", plain(51, "L"), [0.2, 0.2, 0.2]),
        ("black_white.png", plain(1, "1"), [1, 1, 1]),
        ("palette.gif", plain(GREEN).quantize(4), [0, 1, 0]),
        ("deep.png", plain(13107, "I;16"), [0.2, 0.2, 0.2]),
        ("deep.tiff", plain(13107, "I;16"), [0.2, 0.2, 0.2]),
        ("deep.pgm", plain(13107, "I;16"), [0.2, 0.2, 0.2]),
        ("integers.tiff", plain(13107, "I"), [0.2, 0.2, 0.2]),
        ("floats.tiff", plain(0.2, "F"), [0.2, 0.2, 0.2]),
        ("alpha.png", plain((*RED, 51), "RGBA"), [1, 0.8, 0.8]),
        ("clear.png", plain((*RED, 0), "RGBA"), [1, 1, 1]),
        ("grey_alpha.png", plain((0, 51), "LA"), [0.8, 0.8, 0.8]),
    ],
)
def test_every_kind_of_picture_has_the_colour_that_a_person_sees(
    tmp_path: Path, name: str, image: Image.Image, seen: list[float]
) -> None:
    path = saved(tmp_path, name, image)
    assert colour(path) == pytest.approx(seen, abs=0.015)
    luminance = np.dot(seen, [0.299, 0.587, 0.114])
    assert colour(path, 1) == pytest.approx([luminance], abs=0.015)


def test_palette_with_a_transparent_colour_shows_white_there(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.png", plain(RED).quantize(2), transparency=0)
    assert colour(path) == [1, 1, 1]


def test_first_frame_of_an_animation_is_taken(tmp_path: Path) -> None:
    frames = [plain(c) for c in (RED, GREEN, BLUE)]
    for name in ("a.gif", "a.png", "a.webp", "a.tiff"):
        how = {"lossless": True} if name.endswith("webp") else {}
        path = saved(tmp_path, name, frames[0], save_all=True, append_images=frames[1:], **how)
        assert colour(path) == [1, 0, 0], name


def test_picture_is_turned_as_its_exif_orientation_says(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4] = 255  # white above
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn clockwise
    turned, _ = read_picture(saved(tmp_path, "a.png", image, exif=exif), 2, 1)
    assert np.allclose(turned, [[[-1, 1], [-1, 1]]])


@pytest.mark.parametrize("size", [(12, 8), (8, 13)])
def test_centre_square_is_kept(tmp_path: Path, size: tuple[int, int]) -> None:
    image = plain(RED, size=size)
    left, top = (size[0] - 8) // 2, (size[1] - 8) // 2
    image.paste(plain(BLUE), (left, top))
    assert colour(saved(tmp_path, "a.png", image)) == [0, 0, 1]


def test_large_picture_is_averaged_and_small_one_enlarged(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12)).astype(np.uint8)
    path = saved(tmp_path, "a.png", Image.fromarray(pixels))
    image, side = read_picture(path, 4, 1)
    assert side == 12
    averages = pixels.reshape(4, 3, 4, 3).mean((1, 3)) / 127.5 - 1
    assert np.allclose(image[0], averages, atol=1e-5)
    image, _ = read_picture(path, 40, 1)
    assert image.shape == (1, 40, 40) and image.min() >= -1 and image.max() <= 1
    assert np.isclose(image.mean(), pixels.mean() / 127.5 - 1, atol=0.05)


@pytest.mark.parametrize("value", [-1, 70000])
def test_numbers_of_no_known_range_are_refused(tmp_path: Path, value: int) -> None:
    path = saved(tmp_path, "a.tiff", plain(value, "I"))
    with pytest.raises(ValueError, match="its values are neither 8 nor 16 bits"):
        read_picture(path, 4, 1)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
@given(st.data())
def test_cut_or_altered_picture_is_read_or_refused_never_worse(
    tmp_path: Path, data: st.DataObject
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (9, 9, 3)).astype(np.uint8)
    kind = data.draw(st.sampled_from(["png", "gif", "jpg", "tiff", "bmp", "webp", "ppm"]))
    path = saved(tmp_path, f"a.{kind}", Image.fromarray(noise))
    content = bytearray(path.read_bytes())
    content = content[: data.draw(st.integers(0, len(content)))]
    for place in data.draw(st.lists(st.integers(0, max(0, len(content) - 1)), max_size=3)):
        if content:
            content[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(bytes(content))
    try:
        image, _ = read_picture(path, 4, 3)
    except ValueError as error:
        assert str(error).startswith("it")
    else:
        assert image.shape == (3, 4, 4) and np.isfinite(image).all() and abs(image).max() <= 1


# The folder


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Five good pictures, and much that is none."""
    raw = tmp_path / "pictures"
    saved(raw, "b.png", plain(RED, size=(9, 30)))
    saved(raw, "a.jpg", plain(51, "L", (40, 7)))
    saved(raw, "cats/1.gif", plain(BLUE, size=(3, 2)))
    saved(raw, "cats/old/2.png", plain((*GREEN, 128), "RGBA"))
    saved(raw, "dogs/3.tif", plain(40000, "I;16"))
    noise = np.random.default_rng(0).integers(0, 256, (30, 30, 3)).astype(np.uint8)
    whole = saved(raw, "cut.png", Image.fromarray(noise)).read_bytes()
    (raw / "cut.png").write_bytes(whole[: len(whole) // 2])
    (raw / "letter.jpg").write_text("Dear Sir or Madam,\n")
    (raw / "empty.png").touch()
    (raw / "same.png").write_bytes((raw / "b.png").read_bytes())
    (raw / "print.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    (raw / ".DS_Store").write_bytes(b"\0")
    saved(raw, ".thumbnails/t.png", plain(GREEN))
    return raw


def test_pictures_are_read_in_the_order_of_their_names(raw: Path) -> None:
    told: list[tuple[int, int]] = []
    images, labels, test, notes, *_ = load(raw, options(), lambda *counts: told.append(counts))
    assert images.shape == (5, 3, 4, 4) and images.dtype == np.float32 and test is None
    alone = ("a.jpg", "b.png", "cats/1.gif", "cats/old/2.png", "dogs/3.tif")
    assert np.array_equal(images, [read_picture(raw / name, 4, 3)[0] for name in alone])
    assert notes["pictures"] == 5 and notes["enlarged"] == 1
    assert notes["class_names"] == ["", "cats", "dogs"]
    assert labels.tolist() == [0, 0, 1, 1, 2] and labels.dtype == np.int64
    assert told[-1] == (10, 10)


def test_mixed_pictures_are_said_in_one_sentence(raw: Path) -> None:
    notes = load(raw, options()).notes
    assert (notes["sizes"], notes["grey"], notes["transparent"]) == (4, 2, 1)
    assert notes["mixed"] == [
        "5 pictures: 4 sizes from 3x2 to 40x7, each cut to 4x4; 2 grey and 3 in colour, all read "
        "as colour; 1 with transparent parts, which are white now"
    ]


def test_pictures_that_are_alike_need_no_sentence(tmp_path: Path) -> None:
    for number in range(3):
        saved(tmp_path, f"{number}.png", plain((number, 0, 9)))
    notes = load(tmp_path, options()).notes
    assert notes["mixed"] == [] and notes["sizes"] == 1 and not notes["grey"]


def test_what_is_no_whole_picture_is_named_with_the_reason(raw: Path) -> None:
    left_out = load(raw, options()).notes["left_out"]
    assert set(left_out) == {"cut.png", "letter.jpg", "print.jpg", "empty.png", "same.png"}
    assert left_out["cut.png"].startswith("it is damaged: ")
    assert left_out["letter.jpg"] == "it is no picture of a known format"
    assert left_out["print.jpg"] == left_out["letter.jpg"]
    assert left_out["empty.png"] == "it is empty"
    assert left_out["same.png"] == "it is the same picture as b.png"


def test_too_few_pictures_are_refused_with_the_counts(raw: Path) -> None:
    says = r"pictures has 5 pictures that can be used \(5 left out: cut.png: it is damaged.*and 2 "
    with pytest.raises(ValueError, match=says + r"more\); options.least is 6"):
        load(raw, options(least=6))
    assert len(load(raw, options(least=5)).images) == 5


def test_empty_folder_and_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match="none has 0 pictures that can be used; options.least is"):
        load(tmp_path / "none", options())
    saved(tmp_path, "a.png", plain(RED))
    with pytest.raises(ValueError, match=r"a\.png is a file; it must be a folder"):
        load(tmp_path / "a.png", options())
