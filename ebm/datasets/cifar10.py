"""CIFAR-10: photographs of ten kinds of thing, 32x32 in colour, as lossless sheets of 500."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydantic import Field

from ebm.datasets.loaded import Loaded, Tell, checked_labels, silent, why
from ebm.datasets.source import Source
from ebm.settings import Settings

REVISION = 1

SIDE = 32
CLASSES = 10
SHEET = 500  # images in a sheet, one below the other

SOURCE = Source(
    title="CIFAR-10",
    licence="none stated; for research, with credit",
    credit="Krizhevsky, Learning multiple layers of features from tiny images, 2009",
    files={
        "train_*.webp": "9ea629084fa5f39f9b24bc1086133a50781ac7b361107f2c03ea121541f70b36",
        "test_*.webp": "b0ec5fdbe6829aac566ad573c08d62c75a6f7f119f9583fc77b06e1b2e8f72f8",
        "labels.npz": "9d5aa363ef4d9fe64086c252ddd26ce32d35a959ce6f3fc61fac4f21781925d2",
    },
    folder="cifar10",
)


class Options(Settings):
    """Amount of the images."""

    items: int = Field(ge=1, description="images of the official training part, the first ones")


def load(raw: Path, options: Options, tell: Tell = silent) -> Loaded:
    """Return the first training images and after them the test images there are without loss.

    Images are (N, 3, 32, 32) in [-1, 1]; the test part is the first 1,000 of the official one.

    Raises:
        ValueError: a file is missing or damaged, or there are fewer images than asked for.
    """
    train_labels, test_labels = read_labels(raw / "labels.npz")
    if options.items > len(train_labels):
        raise ValueError(f"options.items is {options.items}; {raw} holds {len(train_labels)}")
    total = options.items + len(test_labels)
    pixels = np.empty((total, 3, SIDE, SIDE), np.float32)
    done = 0
    for part, count in (("train", options.items), ("test", len(test_labels))):
        for sheet in sheets(raw, part, count):
            scaled = sheet.astype(np.float32) / np.float32(127.5) - np.float32(1)
            pixels[done : done + len(sheet)] = scaled.transpose(0, 3, 1, 2)
            done += len(sheet)
            tell(done, total)
    labels = np.concatenate([train_labels[: options.items], test_labels]).astype(np.int64)
    return Loaded(pixels, labels, np.arange(options.items, total))


def read_labels(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels of the training and of the test images."""
    try:
        with np.load(path, allow_pickle=False) as content:
            train, test = content["train"], content["test"]
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; run the stage fetch@cifar10 again") from None
    except Exception as error:  # zipfile, zlib, numpy and OSError each have their own
        raise ValueError(f"{path} cannot be read as labels ({why(error)})") from None
    return checked_labels(train, CLASSES, path), checked_labels(test, CLASSES, path)


def sheets(raw: Path, part: str, count: int) -> Iterator[np.ndarray]:
    """Yield the first images of a part, (n, 32, 32, 3) bytes, a sheet at a time."""
    from PIL import Image

    for number in range(-(-count // SHEET)):
        path = raw / f"{part}_{number:03}.webp"
        try:
            with Image.open(path, formats=["WEBP"]) as image:
                pixels = np.asarray(image.convert("RGB"))
        except FileNotFoundError:
            raise ValueError(f"{path} is missing; run the stage fetch@cifar10 again") from None
        except Exception as error:  # Pillow's own for what is damaged, or far too large
            raise ValueError(f"{path} cannot be read as a picture ({why(error)})") from None
        if pixels.shape != (SHEET * SIDE, SIDE, 3):
            raise ValueError(
                f"{path} has {pixels.shape[1]}x{pixels.shape[0]} pixels; "
                f"a sheet has {SIDE}x{SHEET * SIDE}"
            )
        yield pixels.reshape(-1, SIDE, SIDE, 3)[: count - number * SHEET]
