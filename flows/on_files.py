"""The lines of `ebm sample`, `inpaint`, `translate` and `score`; the work is in `tasks.on_files`.

What is wrong in the words of a command is said before torch is loaded, which takes seconds. What is
made goes where the user says, never over what is there unless they say so, and never among what the
pipeline writes.
"""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from flows.results import experiments, pick
from tasks.kinds import kind_of
from tasks.paths import Paths

if TYPE_CHECKING:
    from tasks.on_files import Ranking

OWNED = ("data", "models", "results", "samples")  # folders that the pipeline alone writes
ENDINGS = {"points": ".csv", "molecules": ".smi"}  # of samples by kind; pictures end with .png
COMPARE = "f(x) is known up to log Z: compare the figures of one model, not those of two."


class Asked(NamedTuple):
    """What the commands have in common.

    Attributes:
        name: the experiment.
        here: the folder that the user is in.
        out: where to write, as the user said it; None is that folder.
        force: write over what is there.
    """

    name: str
    here: Path
    out: Path | None = None
    force: bool = False


def samples(asked: Asked, count: int, seed: int, each: bool) -> Iterator[str]:
    """Draw, write, and say where.

    Raises:
        ValueError: what the model learned follows on what is given, or has no file for each.
    """
    paths = known(asked.name)
    stem = f"{asked.name}-samples-seed-{seed}"
    kind = kind_here(asked.name, paths, "drawn without a beginning")
    if kind in ENDINGS:
        if each:
            raise ValueError(f"samples of {asked.name} are lines of one file; leave out --each")
        yield lines(asked, kind, count, seed, stem, paths)
        return
    where = asked.here / (asked.out or stem) if each else target(asked, f"{stem}.png", paths)
    targets = [where]
    if each:
        alone = (where / f"{number:03}.png" for number in range(count))
        targets = [place(path, "", paths, asked.force) for path in alone]
    from tasks import on_files

    on_files.draw(on_files.open_model(asked.name, paths), count, seed, targets)
    what = f"{count} pictures in " if each else f"a sheet of {count} samples, "
    yield f"Written: {what}{shown(where, asked.here)}"


def lines(asked: Asked, kind: str, count: int, seed: int, stem: str, paths: Paths) -> str:
    """Draw what is no picture, write it, and say where."""
    ending = ENDINGS[kind]
    path = place(asked.here / (asked.out or "."), stem + ending, paths, asked.force, ending)
    from tasks import on_files, sample_lines

    model = on_files.open_model(asked.name, paths)
    what = sample_lines.WRITERS[kind](model, count, seed, path, asked.name, paths)
    return f"Written: {what}, {shown(path, asked.here)}"


def kind_here(name: str, paths: Paths, not_done: str) -> str | None:
    """Return the kind of an experiment, None for images.

    Raises:
        ValueError: it is one of trajectories.
    """
    kind = kind_of(pick(experiments(paths), name).get("evaluate"))
    if kind == "trajectories":
        raise ValueError(
            f"{name} learned trajectories, which are not {not_done}; `ebm forecast {name} FILE` "
            "has those in a file walk on"
        )
    return kind


def completions(asked: Asked, image: Path, mask: Path, times: int, seed: int) -> Iterator[str]:
    """Fill in, write, and say where and what is to be seen."""
    paths = known(asked.name)
    path = target(asked, f"{asked.name}-inpaint-{image.stem}-seed-{seed}.png", paths)
    from tasks import on_files

    picture, hole = (on_files.File(str(each), asked.here / each) for each in (image, mask))
    model = on_files.open_model(asked.name, paths)
    pace = on_files.pace(asked.name, paths)
    yield from on_files.inpaint(model, picture, hole, times, seed, path, pace=pace)
    yield f"Written: {shown(path, asked.here)}"


def translation(asked: Asked, image: Path, seed: int) -> Iterator[str]:
    """Translate, write, and say where and what is to be seen."""
    paths = known(asked.name)
    path = target(asked, f"{asked.name}-translate-{image.stem}-seed-{seed}.png", paths)
    from tasks import on_files

    picture = on_files.File(str(image), asked.here / image)
    yield from on_files.translate(on_files.open_model(asked.name, paths), picture, seed, path)
    yield f"Written: {shown(path, asked.here)}"


def way(asked: Asked, first: Path, last: Path, frames: int) -> Iterator[str]:
    """Interpolate, write, and say where and what is to be seen."""
    paths = known(asked.name)
    path = target(asked, f"{asked.name}-interpolate-{first.stem}-{last.stem}.png", paths)
    from tasks import on_files

    one, other = (on_files.File(str(each), asked.here / each) for each in (first, last))
    model = on_files.open_model(asked.name, paths)
    yield from on_files.interpolate(model, one, other, frames, path)
    yield f"Written: {shown(path, asked.here)}"


def reconstructions(asked: Asked, files: Sequence[Path]) -> Iterator[str]:
    """Reconstruct, write, and say where and how far off."""
    paths = known(asked.name)
    path = target(asked, f"{asked.name}-reconstruct-{files[0].stem}.png", paths)
    from tasks import on_files

    given = [on_files.File(str(each), asked.here / each) for each in files]
    yield from on_files.reconstruct(on_files.open_model(asked.name, paths), given, path)
    yield f"Written: {shown(path, asked.here)}"


def forecasts(asked: Asked, file: Path, count: int, seed: int) -> Iterator[str]:
    """Forecast, write, and say where and what is to be known."""
    paths = known(asked.name)
    path = target(asked, f"{asked.name}-forecast-{file.stem}-seed-{seed}.png", paths)
    csv = place(path.with_suffix(".csv"), "", paths, asked.force, ".csv")
    from tasks import on_files
    from tasks.forecast import about, forecast

    known_of, given = about(asked.name, paths), asked.here / file
    model = on_files.open_model(asked.name, paths)
    yield from forecast(model, given, str(file), path, count=count, seed=seed, about=known_of)
    yield f"Written: {shown(csv, asked.here)}, and its picture {shown(path, asked.here)}"


def ranking(asked: Asked, files: Sequence[Path]) -> "Ranking":
    """Score files.

    Raises:
        ValueError: the model learned from what such files do not hold.
    """
    paths = known(asked.name)
    kind = kind_here(asked.name, paths, "ranked")
    from tasks import on_files
    from tasks.score_lines import TEXTS, is_text

    if kind in ENDINGS and not any(map(is_text, files)):
        raise ValueError(
            f"{asked.name} learned from {kind}; give text files with a line for each, whose names "
            f"end with {', '.join(TEXTS)}"
        )

    given = [on_files.File(str(each), asked.here / each) for each in files]
    return on_files.rank(asked.name, given, paths)


def ranking_lines(name: str, found: "Ranking") -> Iterator[str]:
    """Say a ranking as a table."""
    yield f"rank        f(x)  file, by {name}, the likeliest first"
    for rank, (file, value) in enumerate(found.scores, 1):
        yield f"{rank:4}  {value:10.4f}  {file}"
    yield from (COMPARE, *found.notes)


def ranking_json(name: str, found: "Ranking") -> str:
    """Say a ranking as JSON."""
    rows = [
        {"rank": rank, "file": file, "f": value}
        for rank, (file, value) in enumerate(found.scores, 1)
    ]
    left_out = [{"file": file, "why": why} for file, why in found.left_out.items()]
    about = {"experiment": name, "about": COMPARE}
    return json.dumps({**about, "scores": rows, "left_out": left_out}, indent=1)


def known(name: str) -> Paths:
    """Return the project's folders, where an experiment has this name and a model.

    Raises:
        ValueError: there is no such experiment, or it is not trained yet.
    """
    paths = Paths()
    experiment = pick(experiments(paths), name)
    if not (paths.model(name, str(experiment.get("final"))) / "model.json").is_file():
        raise ValueError(f"{name} is not trained yet; `ebm run {name}` trains it")
    return paths


def target(asked: Asked, file: str, paths: Paths) -> Path:
    """Return the one picture to write."""
    return place(asked.here / (asked.out or "."), file, paths, asked.force)


def place(
    out: Path,
    file: str,
    paths: Paths,
    force: bool,
    ending: str = ".png",
    *,
    option: str = "--out",
) -> Path:
    """Return the file to write: `out` itself, or `file` in the folder `out`.

    Args:
        option: by which `out` was given.

    Raises:
        ValueError: it is there already, ends otherwise, or lies where the pipeline writes.
    """
    path = out / file if out.is_dir() or not out.suffix else out
    if path.suffix.lower() != ending:
        raise ValueError(
            f"{option} is {out}; it must be a folder or a file that ends with {ending}"
        )
    root = paths.root.resolve()
    if path.resolve().is_relative_to(root):
        first = path.resolve().relative_to(root).parts[0]
        if first in OWNED:
            told = f"{path} lies in {first}/, which the pipeline writes"
            raise ValueError(f"{told}; choose {option}")
    if path.exists() and not force:
        told = f"{path} is there already"
        raise ValueError(f"{told}; give --force to replace it, or another {option}")
    return path


def shown(path: Path, here: Path) -> str:
    """Return a path as it is from the user's folder, whole where it lies elsewhere."""
    path = Path(os.path.normpath(path))
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
