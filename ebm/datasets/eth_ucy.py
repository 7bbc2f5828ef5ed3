"""ETH and UCY: pedestrians seen from above in five scenes, in metres, 2.5 frames a second.

A fold learns from four scenes and is tested on the fifth. In the files that are commonly used the
scene eth is annotated every six frames of its film and told as every ten, so its pedestrians seem
to walk 1.6 times as fast as they do; figures on files without that slip cannot be compared.
"""

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from ebm.datasets.loaded import Loaded, Tell, silent
from ebm.datasets.positions import Windows, learned, numbered, read, windows
from ebm.datasets.source import Source
from ebm.settings import Settings

REVISION = 1

ITEMS = "trajectories"

STEP = 10  # from a frame of a file to the next, 0.4 s
PARTS = ("train", "val", "test")

SOURCE = Source(
    title="ETH walking pedestrians and UCY crowds by example, leave-one-scene-out folds",
    licence="none stated by the makers; for research, with credit",
    credit="Pellegrini, Ess, Schindler, van Gool, ICCV 2009; Lerner, Chrysanthou, Lischinski, 2007",
    files={"*/*/*.txt": "777f7a7b1d7587756db3c2e69cbe566854d61b933a4ee0e514fe3d6e291815cb"},
    folder="eth_ucy",
)


class Options(Settings):
    """Which fold, and how long its trajectories are."""

    fold: Literal["eth", "hotel", "univ", "zara1", "zara2"] = Field(description="the test scene")
    length: int = Field(ge=2, description="T, frames of a trajectory: those seen and those ahead")
    held: list[str] = Field(
        default_factory=list,
        exclude_if=lambda held: not held,
        description="training scenes, by the names of their files (biwi_eth), that are not learned "
        "from but are the validation part, in place of the official one",
    )


def load(raw: Path, options: Options, tell: Tell = silent) -> Loaded:
    """Return trajectories (N, T, 2) in metres: of training, of validation, then of the test scene.

    The label of a trajectory is the number of its window: those of one window, (scene, first
    frame), are neighbours, and follow each other.

    Raises:
        ValueError: a file is missing, a line of one is wrong, or a held scene is not there.
    """
    found: list[list[Windows]] = []
    parts = parts_of(raw / options.fold, sorted(set(options.held)))
    for number, files in enumerate(parts, 1):
        found.append([windows(read(path), STEP, options.length) for path in files])
        tell(number, len(parts))
    sizes = [sum(len(each.x) for each in part) for part in found]
    x, labels = numbered(each for part in found for each in part)
    validation, test = (np.arange(sum(sizes[:i]), sum(sizes[: i + 1])) for i in (1, 2))
    bounds = (float(x.min()), float(x.max()))
    notes = {"unit": "m", "seconds": 0.4, "step": STEP}
    return Loaded(x, labels, test, notes, bounds, validation)


def parts_of(fold: Path, held: list[str]) -> list[list[Path]]:
    """Return the files of training, validation and test.

    Args:
        fold: its folder.
        held: scenes of which both the training and the validation file are for validation alone.

    Raises:
        ValueError: a part has no file, a held scene is not there, or all are held.
    """
    train, validation, test = (sorted((fold / part).glob("*.txt")) for part in PARTS)
    for part, files in zip(PARTS, (train, validation, test), strict=True):
        if not files:
            raise ValueError(f"{fold / part} has no .txt; fetch eth_ucy again")
    if not held:
        return [train, validation, test]
    left = learned(sorted({scene(path) for path in train}), held)
    own = [path for path in train + validation if scene(path) in held]
    return [[path for path in train if scene(path) in left], sorted(own), test]


def scene(path: Path) -> str:
    """Return the scene of a file of training or validation.

    >>> scene(Path("train/crowds_zara01_train.txt"))
    'crowds_zara01'
    """
    return path.stem.removesuffix("_train").removesuffix("_val")
