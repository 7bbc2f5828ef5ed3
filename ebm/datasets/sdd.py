"""Stanford drone data: who crosses a campus, seen from a drone, in pixels, 2.5 frames a second.

The split of the TrajNet challenge, mostly pedestrians: 30 scenes to learn from, 17 others to test.
"""

from pathlib import Path

import numpy as np
from pydantic import Field

from ebm.datasets.loaded import Loaded, Tell, silent
from ebm.datasets.positions import Windows, learned, numbered, read, windows
from ebm.datasets.source import Source
from ebm.settings import Settings

REVISION = 1

ITEMS = "trajectories"

STEP = 12  # from a frame of a file to the next, 0.4 s

SOURCE = Source(
    title="Stanford Drone Dataset, the split of the TrajNet challenge",
    licence="CC BY-NC-SA 3.0",
    credit="Robicquet, Sadeghian, Alahi, Savarese, ECCV 2016",
    files={
        "train/*.txt": "480c83b3b2f4da9550face56f28a06afe5d8dd6e4640bdd9ef6d5f4b8f9a60c9",
        "test/*.txt": "4b2075710dc01bebdc304ffce278dbf7eb777789bad9f16c27845e26b8ef3533",
    },
    folder="sdd",
)


class Options(Settings):
    """How long the trajectories are, and which scenes are held out."""

    length: int = Field(ge=2, description="T, frames of a trajectory: those seen and those ahead")
    held: list[str] = Field(
        min_length=1, description="scenes of the training part, held out whole to choose settings"
    )


def load(raw: Path, options: Options, tell: Tell = silent) -> Loaded:
    """Return trajectories (N, T, 2) in pixels: of training, of the held scenes, then of test.

    Scenes are held out whole, as the test scenes are new ones too. The label of a trajectory is
    the number of its window: those of one window, (scene, first frame), are neighbours, and follow
    each other.

    Raises:
        ValueError: a file is missing, a line of one is wrong, or a held scene is not there.
    """
    names = sorted(path.stem for path in (raw / "train").glob("*.txt"))
    tests = sorted(path.stem for path in (raw / "test").glob("*.txt"))
    if not names or not tests:
        raise ValueError(f"{raw} has no train/*.txt or no test/*.txt; fetch sdd again")
    left = learned(names, options.held)
    parts = [("train", left), ("train", sorted(set(options.held))), ("test", tests)]
    found: list[list[Windows]] = []
    for number, (folder, scenes) in enumerate(parts, 1):
        files = [raw / folder / f"{scene}.txt" for scene in scenes]
        found.append([windows(read(path), STEP, options.length) for path in files])
        tell(number, len(parts))
    sizes = [sum(len(each.x) for each in part) for part in found]
    x, labels = numbered(each for part in found for each in part)
    validation, test = (np.arange(sum(sizes[:i]), sum(sizes[: i + 1])) for i in (1, 2))
    bounds = (float(x.min()), float(x.max()))
    notes = {"unit": "px", "seconds": 0.4, "step": STEP}
    return Loaded(x, labels, test, notes, bounds, validation)
