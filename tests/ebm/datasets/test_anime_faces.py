"""The drawn faces: a domain by its colours of hair, or a refusal by name."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from ebm.datasets.anime_faces import HAIR, NAME, Options, load

BLACK, BROWN, BLONDE = (HAIR.index(name) for name in ("black", "brown", "blonde"))
COLOURS = {BLACK: (0, 0, 0), BROWN: (120, 80, 60), BLONDE: (255, 255, 0)}
ORDER = [BLACK, BLONDE, BROWN, BLONDE, BLACK, BLONDE]


def stream(colour: tuple[int, int, int], side: int = 64) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(made, "JPEG", quality=95)
    return made.getvalue()


def write(
    folder: Path, streams: list[bytes], hair: list[int], names: tuple[str, ...] = HAIR
) -> None:
    offsets = np.cumsum([0, *map(len, streams)])
    jpeg = np.frombuffer(b"".join(streams), np.uint8)
    np.savez(
        folder / NAME,
        jpeg=jpeg,
        offsets=offsets,
        hair=np.array(hair, np.uint8),
        hair_names=np.array(names),
    )


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    write(tmp_path, [stream(COLOURS[each]) for each in ORDER], ORDER)
    return tmp_path


def test_domain_holds_the_faces_of_its_hair_alone_labelled_in_the_order_named(raw: Path) -> None:
    images, labels, test, *_ = load(raw, Options(hair=["blonde", "black"], size=16))
    assert images.shape == (5, 3, 16, 16) and images.dtype == np.float32
    assert labels.tolist() == [1, 0, 0, 1, 0] and labels.dtype == np.int64
    assert test is None
    blonde = images[labels == 0].mean((0, 2, 3))
    np.testing.assert_allclose(blonde, [1, 1, -1], atol=0.03)
    assert np.abs(images[labels == 1] + 1).max() < 0.03


def test_two_domains_share_no_face(raw: Path) -> None:
    counts = [len(load(raw, Options(hair=[hair], size=64)).images) for hair in HAIR]
    assert sum(counts) == len(ORDER)


@pytest.mark.parametrize(
    ("hair", "words"),
    [
        (["blond"], "did you mean blonde"),
        (["black", "black"], "each colour may be named once"),
        ([], "at least 1"),
    ],
)
def test_wrong_hair_is_refused(hair: list[str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Options(hair=hair, size=64)


def test_missing_or_damaged_files_are_refused_by_name(raw: Path) -> None:
    options = Options(hair=["black"], size=64)
    write(raw, [stream((0, 0, 0), 32)], [BLACK])
    with pytest.raises(ValueError, match="face 0 of anime_faces64.npz has 32x32 pixels"):
        load(raw, options)
    write(raw, [b"no picture"], [BLACK])
    with pytest.raises(ValueError, match="face 0 of .* cannot be read as a picture"):
        load(raw, options)
    write(raw, [stream((0, 0, 0))], [BLACK, BLACK])
    with pytest.raises(ValueError, match="has 1 faces and 2 colours of hair"):
        load(raw, options)
    write(raw, [stream((0, 0, 0))], [BLACK], HAIR[::-1])
    with pytest.raises(ValueError, match="names the hair blonde, brown"):
        load(raw, options)
    (raw / NAME).write_bytes((raw / NAME).read_bytes()[:40])
    with pytest.raises(ValueError, match="cannot be read as faces"):
        load(raw, options)
    (raw / NAME).unlink()
    with pytest.raises(ValueError, match="run the stage fetch@anime_faces again"):
        load(raw, options)
