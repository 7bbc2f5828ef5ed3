"""A trained model on files: draw pictures, fill in or translate one, rank by f(x).

The project is only read, so that a flow at work is not disturbed.
"""

import itertools
import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ebm.apply.translate import moved
from ebm.datasets.folder import visible
from ebm.datasets.picture import dimensions, read_mask, read_picture
from ebm.model import BATCH, Model
from ebm.stored import load
from tasks.paths import Paths
from tasks.pictures import masked, sheet
from tasks.refusals import pick
from tasks.settings import read

ALONE = 256  # pixels of a single picture's side, about
ROW = 1200  # pixels of a row of pictures, about
COLUMNS = 10  # pictures in a row, at most
STATES = 4  # states of a chain in a row


class File(NamedTuple):
    """A file as the user named it, and where it is."""

    name: str
    path: Path


class Ranking(NamedTuple):
    """Files by f(x), the highest first.

    Attributes:
        scores: (file, f(x)).
        left_out: why, by file.
        notes: what the user should know, a sentence each.
    """

    scores: list[tuple[str, float]]
    left_out: dict[str, str]
    notes: list[str]


def open_model(name: str, paths: Paths) -> Model:
    """Return an experiment's trained model, on as many threads as it was trained with.

    Raises:
        ValueError: there is no such experiment, or its model is damaged.
        FileNotFoundError: it is not trained yet.
    """
    experiment = pick(read(paths.params).experiments, name, "experiment")
    torch.set_num_threads(experiment.threads)
    return load(paths.model(name, experiment.final))


def pace(name: str, paths: Paths) -> float:
    """Return the pace that an experiment's holes are filled at, 1 where it says none."""
    apply = pick(read(paths.params).experiments, name, "experiment").apply
    return apply.inpaint.pace if apply and apply.inpaint else 1.0


def draw(model: Model, count: int, seed: int, targets: Sequence[Path]) -> None:
    """Draw images and write them, as one sheet or, where there are as many targets, each alone."""
    images = model.sample(count, seed).numpy()
    if len(targets) == 1:
        write_sheet(images, targets[0], math.ceil(count**0.5))
        return
    for image, path in zip(images, targets, strict=True):
        write_sheet(image[None], path, 1, ALONE)


def write_sheet(images: np.ndarray, path: Path, columns: int, side: int | None = None) -> None:
    """Write images (N, C, H, W) as one picture, whole or not at all, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.part.png")
    try:
        sheet(images, temporary, columns, *([side] if side else []))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def inpaint(
    model: Model,
    image: File,
    mask: File,
    completions: int,
    seed: int,
    path: Path,
    *,
    pace: float,
) -> list[str]:
    """Fill a picture's hole, and write a row: picture, hole, completions, where these differ.

    Returns:
        What the user should know, a sentence each.

    Args:
        mask: a picture of the same size: white is filled, black is kept.

    Raises:
        ValueError: a file cannot be read, the mask is of another size, or hides nothing.
    """
    model.check_inpaints()
    x, hidden, notes = read_pair(model, image, mask)
    fills = model.inpaint(x, ~hidden, completions, seed, pace=pace).numpy()
    tiles = [x[None], masked(x[None], ~hidden[None, None]), fills]
    if completions > 1:
        tiles.append(difference(fills))
    row = np.concatenate([np.broadcast_to(t, (len(t), 3, *x.shape[1:])) for t in tiles])
    write_sheet(row, path, min(len(row), COLUMNS), ROW)
    words = "the completion" if completions == 1 else f"{completions} completions"
    last = "; where they differ, the lighter the more" if completions > 1 else ""
    notes.append(f"From the left: the picture; what is hidden, in blue; {words}{last}.")
    return notes


def translate(model: Model, image: File, seed: int, path: Path) -> list[str]:
    """Take a picture to the model's domain, and write a row: picture, states, end, what moved.

    Returns:
        What the user should know, a sentence each.

    Raises:
        ValueError: the model does not translate, or the file cannot be read.
    """
    model.check_translates()
    steps = model.learner.settings.chain.sample_steps
    of_image = told(image, dimensions)
    x, _ = told(image, read_picture, model.size, model.channels)
    states = model.translate(x, seed, keep=-(-steps // STATES)).numpy()
    heat = moved(states[:1], states[-1:])[:, None]
    heat = np.broadcast_to(2 * heat / max(heat.max(), 1e-9) - 1, states[:1].shape)
    row = np.concatenate([states, heat.astype(np.float32)])
    write_sheet(row, path, len(row), ROW)
    notes = []
    if of_image != (model.size, model.size):
        notes.append(f"{image.name} is {by(of_image)}; the model sees {form(model)}.")
    last = f"the last after {steps} steps"
    notes.append(
        f"From the left: the picture; states of the chain, {last}; what moved, the lighter the "
        "farther."
    )
    return notes


def interpolate(model: Model, first: File, last: File, frames: int, path: Path) -> list[str]:
    """Write a row: a picture, what lies between its z and another's, and the other.

    Returns:
        What the user should know, a sentence each.

    Raises:
        ValueError: the model has no z, or a file cannot be read.
    """
    model.check_latent()
    ends = [told(each, read_picture, model.size, model.channels)[0] for each in (first, last)]
    between = model.interpolate(ends[0], ends[1], frames).numpy()
    row = np.concatenate([ends[0][None], between, ends[1][None]])
    write_sheet(row, path, len(row), ROW)
    return [
        f"From the left: {first.name}, {frames} images from its z to the other's, {last.name}; "
        f"of a picture the model sees {form(model)}."
    ]


def reconstruct(model: Model, given: Sequence[File], path: Path) -> list[str]:
    """Write a column a picture: as it is, and as the model makes it of its z.

    Returns:
        What the user should know, a sentence each.

    Raises:
        ValueError: the model has no z, or a file cannot be read.
    """
    model.check_latent()
    images = [told(each, read_picture, model.size, model.channels)[0] for each in given]
    x = np.stack(images)
    made = model.reconstruct(x).numpy()
    write_sheet(np.concatenate([x, made]), path, len(x), ROW)
    errors = np.square(made - x).mean((1, 2, 3))
    lines = [f"{error:10.4f}  {file.name}" for error, file in zip(errors, given, strict=True)]
    return [
        "squared error a pixel, pixels in [-1, 1]:",
        *lines,
        "Above, the pictures; below, g(z).",
    ]


def read_pair(model: Model, image: File, mask: File) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return a picture (C, H, W) in [-1, 1], what is hidden of it, (H, W), and what to say."""
    of_mask, of_image = (told(file, dimensions) for file in (mask, image))
    if of_mask != of_image:
        raise ValueError(
            f"{mask.name} is {by(of_mask)} and {image.name} {by(of_image)}; the mask must be "
            f"{by(of_image)} too, white where the picture is to be filled"
        )
    x, _ = told(image, read_picture, model.size, model.channels)
    hidden, _ = told(mask, read_mask, model.size)
    if not hidden.any():
        raise ValueError(
            f"{mask.name} is black all over the centre square, so there is nothing to fill; "
            "paint white what is to be filled"
        )
    notes = []
    if of_image != (model.size, model.size):
        notes.append(f"{image.name} is {by(of_image)}; the model sees {form(model)}.")
    if hidden.all():
        notes.append(f"{mask.name} is white all over: nothing is kept, so these are plain samples.")
    return x, hidden, notes


def told(file: File, work: Callable[..., Any], *arguments: Any) -> Any:
    """Do work on a file; what is wrong is said with the file's name."""
    try:
        return work(file.path, *arguments)
    except (OSError, ValueError) as error:
        raise ValueError(f"{file.name}: {error}") from None


def by(size: tuple[int, int]) -> str:
    """Say a width and a height: 640x480."""
    return f"{size[0]}x{size[1]}"


def form(model: Model) -> str:
    """Say what a model sees of a picture."""
    colour = "grey" if model.channels == 1 else "colour"
    return f"its centre square at {model.size}x{model.size}, in {colour}"


def difference(fills: np.ndarray) -> np.ndarray:
    """Return the standard deviation among completions (K, C, H, W) as a picture (1, 1, H, W).

    0 is black, 1 or more, which is half the range of a pixel, white.
    """
    deviation = fills.std(0, ddof=1).mean(0)[None, None]
    return (2 * deviation - 1).clip(-1, 1)


def score(model: Model, given: Sequence[File]) -> Ranking:
    """Return pictures, and those in folders, by f(x); what cannot be read is left out and named."""
    files = {file.name: file.path for each in given for file in inside(each)}
    scores: list[tuple[str, float]] = []
    left_out: dict[str, str] = {}
    reshaped = 0
    todo = list(files.items())
    for first in range(0, len(todo), BATCH):
        images: dict[str, np.ndarray] = {}
        for name, path in todo[first : first + BATCH]:
            try:
                images[name], side = read_picture(path, model.size, model.channels)
                reshaped += side != model.size
            except (OSError, ValueError) as error:
                left_out[name] = str(error)
        if images:
            values = model.score(np.stack(list(images.values()))).tolist()
            scores += zip(images, values, strict=True)
    notes = [f"{reshaped} of them are of another size; of each, the model sees {form(model)}."]
    best_first = sorted(scores, key=lambda row: -row[1])
    return Ranking(best_first, left_out, notes if reshaped else [])


def rank(name: str, given: Sequence[File], paths: Paths) -> Ranking:
    """Return what files hold by f(x), as an experiment's model sees it: pictures, or lines of text.

    Raises:
        ValueError: texts and pictures are mixed, a line is wrong, or the model takes the other.
    """
    from tasks import score_lines

    model = open_model(name, paths)
    texts = [file for file in given if score_lines.is_text(file.path)]
    if not texts:
        return score(model, given)
    if len(texts) < len(given):
        raise ValueError("give pictures, or text files of rows or SMILES, not both at once")
    found = [score_lines.score_lines(model, *file[::-1], name, paths) for file in texts]
    return Ranking(sorted(itertools.chain(*found), key=lambda row: -row[1]), {}, [])


def inside(given: File) -> Iterator[File]:
    """Yield a file, or those in a folder and its folders, but for names that begin with a dot."""
    if not given.path.is_dir():
        yield given
        return
    for path in sorted(given.path.rglob("*")):
        inner = path.relative_to(given.path).as_posix()
        if visible(inner) and not path.is_dir():
            yield File(f"{given.name.rstrip('/')}/{inner}", path)
