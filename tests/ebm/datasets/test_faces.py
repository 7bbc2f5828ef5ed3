"""The faces: cropped, averaged and labelled by person, or refused by name."""

from pathlib import Path

import numpy as np
import pytest

from ebm.datasets.faces import Options, load

TOP = 10  # rows above the centre square of 92x112 pixels


def pgm(pixels: np.ndarray) -> bytes:
    return b"P5\n%d %d\n255\n" % pixels.shape[::-1] + pixels.astype(np.uint8).tobytes()


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """40 people, ten pictures each, each of one grey: the person's number and the picture's."""
    for person in range(1, 41):
        (tmp_path / f"s{person}").mkdir()
        for number in range(1, 11):
            pixels = np.full((112, 92), 4 * person + number)
            (tmp_path / f"s{person}" / f"{number}.pgm").write_bytes(pgm(pixels))
    return tmp_path


def test_faces_are_in_the_order_of_people_and_labelled_by_them(raw: Path) -> None:
    told: list[tuple[int, int]] = []
    images, labels, test, *_ = load(raw, Options(size=8), lambda *counts: told.append(counts))
    assert images.shape == (400, 1, 8, 8) and images.dtype == np.float32
    assert labels.tolist() == [person for person in range(40) for _ in range(10)]
    assert labels.dtype == np.int64 and test is None
    grey = [4 * person + number for person in range(1, 41) for number in range(1, 11)]
    assert np.allclose(images, np.array(grey)[:, None, None, None] / 127.5 - 1, atol=1e-6)
    assert told[-1] == (400, 400)


def test_centre_square_is_averaged_over_areas(raw: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (112, 92))
    (raw / "s1" / "1.pgm").write_bytes(pgm(pixels))
    found = load(raw, Options(size=46)).images[0, 0]
    square = pixels[TOP : TOP + 92].reshape(46, 2, 46, 2).mean((1, 3))
    assert np.allclose(found, square / 127.5 - 1, atol=1e-5)
    found = load(raw, Options(size=64)).images[0, 0]
    assert np.isclose(found.mean(), pixels[TOP : TOP + 92].mean() / 127.5 - 1, atol=1e-6)


def test_missing_face_is_named_with_the_stage_that_brings_it(raw: Path) -> None:
    (raw / "s40" / "10.pgm").unlink()
    with pytest.raises(ValueError, match=r"s40/10\.pgm is missing; run the stage fetch@faces"):
        load(raw, Options(size=8))


@pytest.mark.parametrize("keep", [0, 5, 5000])
def test_truncated_face_is_refused_by_name(raw: Path, keep: int) -> None:
    path = raw / "s2" / "3.pgm"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"s2/3\.pgm cannot be read as a picture"):
        load(raw, Options(size=8))


def test_face_of_another_size_is_refused_by_name(raw: Path) -> None:
    (raw / "s2" / "3.pgm").write_bytes(pgm(np.zeros((92, 112))))
    with pytest.raises(ValueError, match=r"s2/3\.pgm has 112x92 pixels; a face has 92x112"):
        load(raw, Options(size=8))
