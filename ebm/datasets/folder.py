"""A user's own folder of pictures, of any sizes and formats."""

import hashlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from ebm.datasets.loaded import Loaded, Tell, silent
from ebm.datasets.picture import Read, read_whole
from ebm.datasets.source import Source
from ebm.settings import Settings

REVISION = 3

NAMED = 3  # files named in an error; the manifest names all

SOURCE = Source(
    title="A folder of one's own pictures",
    licence="its owner's",
    credit="its owner",
    files={},
)


class Options(Settings):
    """Form of the images, and how many there must be."""

    size: int = Field(ge=1, description="side of the images")
    channels: Literal[1, 3] = Field(description="1 for grey, 3 for colour")
    least: int = Field(ge=1, description="pictures below which nothing is prepared")


def load(raw: Path, options: Options, tell: Tell = silent) -> Loaded:
    """Return every picture below a folder that can be read, in the order of the names.

    Where the pictures lie in folders within it, the first of these is the label. Left out, and
    named in the notes with the reason, are files that are no whole picture, those whose image is
    the same as an earlier one: a copy must not be both learned and held out; and links that lead
    out of the folder: what is in a report came from there alone. Files and folders whose names
    begin with a dot do not count.

    Raises:
        ValueError: it is no folder, or has fewer than `least` such pictures.
    """
    if not raw.is_dir():
        raise ValueError(f"{raw} is a file; it must be a folder of pictures")
    files = {path.relative_to(raw).as_posix(): path for path in sorted(raw.rglob("*"))}
    files = {name: path for name, path in files.items() if visible(name) and path.is_file()}
    images: dict[str, np.ndarray] = {}
    left_out: dict[str, str] = {}
    seen: dict[bytes, str] = {}
    read: list[Read] = []
    for number, (name, path) in enumerate(files.items(), 1):
        tell(number, len(files))
        if not path.resolve().is_relative_to(raw.resolve()):
            left_out[name] = "it is a link that leads out of the folder; copy the picture there"
            continue
        try:
            found = read_whole(path, options.size, options.channels)
        except (ValueError, OSError) as error:
            left_out[name] = str(error)
            continue
        first = seen.setdefault(hashlib.sha256(found.image.tobytes()).digest(), name)
        if first != name:
            left_out[name] = f"it is the same picture as {first}"
            continue
        images[name] = found.image
        read.append(found)
    if len(images) < options.least:
        raise ValueError(too_few(raw, len(images), options.least, left_out))
    names, labels = classes(list(images))
    notes = {"pictures": len(images), **mixed(read, options), "class_names": names}
    return Loaded(np.stack(list(images.values())), labels, None, {**notes, "left_out": left_out})


def mixed(read: list[Read], options: Options) -> dict[str, Any]:
    """Return, for the notes, how the pictures differ, and in a sentence what was made of that."""
    shapes = sorted({each.shape for each in read}, key=lambda shape: shape[0] * shape[1])
    enlarged = sum(min(each.shape) < options.size for each in read)
    grey, clear = sum(each.grey for each in read), sum(each.clear for each in read)
    said = []
    if len(shapes) > 1:
        least, most = (f"{width}x{height}" for width, height in (shapes[0], shapes[-1]))
        side = f"{options.size}x{options.size}"
        said.append(f"{len(shapes)} sizes from {least} to {most}, each cut to {side}")
    if 0 < grey < len(read):
        form = "grey" if options.channels == 1 else "colour"
        said.append(f"{grey} grey and {len(read) - grey} in colour, all read as {form}")
    if clear:
        said.append(f"{clear} with transparent parts, which are white now")
    sentence = [f"{len(read)} pictures: {'; '.join(said)}"] if said else []
    kinds = {"sizes": len(shapes), "grey": grey, "transparent": clear}
    return {"enlarged": enlarged, **kinds, "mixed": sentence}


def visible(name: str) -> bool:
    """Tell whether no part of a path begins with a dot."""
    return not any(part.startswith(".") for part in name.split("/"))


def classes(names: list[str]) -> tuple[list[str], np.ndarray]:
    """Return the folders that pictures lie in, and each picture's number among them.

    >>> classes(["cats/1.png", "cats/old/2.png", "dogs/1.png"])
    (['cats', 'dogs'], array([0, 0, 1]))
    """
    folders = [name.split("/")[0] if "/" in name else "" for name in names]
    kinds = sorted(set(folders))
    return kinds, np.array([kinds.index(folder) for folder in folders], np.int64)


def too_few(raw: Path, found: int, least: int, left_out: dict[str, str]) -> str:
    """Say how many pictures there are, how many there must be, and what was left out."""
    named = "; ".join(f"{name}: {why}" for name, why in list(left_out.items())[:NAMED])
    more = f"; and {len(left_out) - NAMED} more" if len(left_out) > NAMED else ""
    rest = f" ({len(left_out)} left out: {named}{more})" if left_out else ""
    return f"{raw} has {found} pictures that can be used{rest}; options.least is {least}"
