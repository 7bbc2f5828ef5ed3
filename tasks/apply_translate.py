"""apply, of translation: held-out images of the source domain taken to the target, and measured."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ebm.apply.translate import colours_matched, content, moved
from ebm.metrics.efficientnet import EfficientNet
from ebm.metrics.features import SIDE as AVERAGED
from ebm.metrics.features import Pixels, extract
from ebm.metrics.kid import kid
from ebm.metrics.nearest import nearest_distances, nearest_rows
from ebm.samplers.noise import seed_range
from ebm.stored import load
from tasks.apply_settings import TranslateSettings
from tasks.artefacts import load_arrays, new_folder, read_json
from tasks.device import pick_device
from tasks.inputs import ApplyInputs
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.pictures import sheet
from tasks.scores import beside, naming, row, write_scores

REVISION = 2

STATES = 4  # states of the chain in the picture
SIDE = 1200  # pixels of the picture's side, about
BATCH = 50  # images shown to a network at once
PROTOCOL = (
    "Translation: the chain of the target's model, begun at held-out images of the source; KID of "
    "where it ends to the target's held-out images, by averaged pixels and by EfficientNet-Lite0 "
    "trained on ImageNet; content: 1 less the correlation of edge maps."
)

Rows = list[dict[str, Any]]


class Sets(NamedTuple):
    """The sets of images that are put side by side, (N, C, H, W) each.

    Attributes:
        source: held-out images of the source.
        ends: their translations.
        matched: the same images with the target's colours, no more.
        train, target: training and held-out images of the target.
    """

    source: np.ndarray
    ends: np.ndarray
    matched: np.ndarray
    train: np.ndarray
    target: np.ndarray


class Eyes(NamedTuple):
    """How images are seen: the features' name, and what makes them of (N, C, H, W)."""

    name: str
    see: Callable[[np.ndarray], np.ndarray]


def run(name: str, part: None, inputs: ApplyInputs, paths: Paths, monitor: Monitor) -> None:
    """Write results/NAME/apply.json, and translate.png in results/NAME/apply."""
    asked = inputs.apply.translate
    assert asked is not None  # by what chose this module
    learner = load(paths.model(name, inputs.final)).learner
    states, sets = gather(learner, asked, inputs, paths)
    seen = [averaged(), pretrained(inputs.dataset, paths)]
    metrics, compared = content_rows(sets)
    for place, eyes in enumerate(seen, 1):
        made, rivals = distance_rows(asked, sets, eyes, inputs.seed)
        metrics, compared = metrics + made, compared + rivals
        monitor.progress(place, len(seen), eyes.name)
    with new_folder(paths.results(name) / "apply") as folder:
        picture(folder / "translate.png", states, sets, asked.shown)
    told_of = naming(asked.against)
    metrics, compared = ([told_of(each) for each in rows] for rows in (metrics, compared))
    write_scores(paths.results(name) / "apply.json", name, PROTOCOL, metrics, compared)
    monitor.note(pictures=[str(paths.results(name) / "apply" / "translate.png")])


def gather(
    learner: Any, asked: TranslateSettings, inputs: ApplyInputs, paths: Paths
) -> tuple[list[np.ndarray], Sets]:
    """Translate; return states of the chains, the source's images first, and all sets.

    Raises:
        ValueError: the source's images are of another shape than the target's, or too few.
    """
    train, target = (images(paths, inputs.dataset, of) for of in ("train", asked.against))
    known, source = (images(paths, asked.source, of) for of in ("train", asked.against))
    check(asked, source, target)
    steps = learner.settings.chain.sample_steps
    seeds = seed_range(inputs.seed, len(source))
    path = learner.translate(torch.from_numpy(source), seeds, keep=-(-steps // STATES))
    states = [state.cpu().clamp(-1, 1).numpy() for state in path]
    return states, Sets(source, states[-1], colours_matched(source, known, train), train, target)


def images(paths: Paths, dataset: str, split: str) -> np.ndarray:
    """Return a prepared data set's images, (N, C, H, W)."""
    return load_arrays(paths.prepared(dataset) / f"{split}.npz")["x"]


def check(asked: TranslateSettings, source: np.ndarray, target: np.ndarray) -> None:
    """Refuse, before any work, sources of another shape, and subsets of more than there are."""
    if source.shape[1:] != target.shape[1:]:
        raise ValueError(
            f"apply.translate.source is {asked.source}, whose images are {source.shape[1:]}; the "
            f"model's are {target.shape[1:]}"
        )
    there = min(len(source), len(target))
    if asked.kid.size > there:
        raise ValueError(
            f"apply.translate.kid.size is {asked.kid.size}; the {asked.against} parts have "
            f"{len(source)} images of the source and {len(target)} of the target: give {there} or "
            "less"
        )


def averaged() -> Eyes:
    """Return what sees averaged pixels."""
    return Eyes(f"pixels{AVERAGED}", lambda x: extract(Pixels(), x, BATCH))


def pretrained(dataset: str, paths: Paths) -> Eyes:
    """Return the network that the target's reference was made with.

    Raises:
        ValueError: its weights are missing, or others.
    """
    manifest = read_json(paths.reference(dataset, "efficientnet") / "manifest.json")
    weights, device = paths.root / manifest["weights"], pick_device(manifest["device"])
    network = EfficientNet(weights, manifest["sha256"], device)
    return Eyes(network.name, lambda x: extract(network, x, BATCH))


def distance_rows(
    settings: TranslateSettings, sets: Sets, eyes: Eyes, seed: int
) -> tuple[Rows, Rows]:
    """Return the rows of KID by one kind of features."""
    asked, metric = settings.kid, f"translate_kid_{eyes.name}"
    target = eyes.see(sets.target)

    def to_target(x: np.ndarray) -> float:
        chosen = {"subsets": asked.subsets, "size": asked.size, "seed": seed}
        return float(kid(eyes.see(x), target, **chosen).mean())

    real = sets.train[np.linspace(0, len(sets.train) - 1, len(sets.target)).astype(int)]
    made = row(
        metric,
        [to_target(sets.ends)],
        floor=to_target(real),
        ceiling=to_target(sets.source),
        better="lower",
        samples=len(sets.ends),
        about=f"KID, the mean over {asked.subsets} subsets of {asked.size}, of the translations "
        f"to {len(target)} held-out images of the target; floor: as many training images of the "
        "target, ceiling: the sources as they are.",
    )
    return [made], [beside(metric, "colours matched", to_target(sets.matched))]


def content_rows(sets: Sets) -> tuple[Rows, Rows]:
    """Return the rows of the edges that were kept, and of copies of training images."""
    kept, count = content(sets.source, sets.ends), len(sets.ends)
    plain = content(sets.source, sets.matched)
    away = row(
        "translate_edges",
        [float(kept.own.mean())],
        floor=0.0,
        ceiling=float(kept.other.mean()),
        better="lower",
        samples=count,
        about="Distance of a translation's edges to its own source's, 1 less their correlation; "
        "floor: the same edges, ceiling: those of the other sources.",
    )
    own = row(
        "translate_own_nearest",
        [float(kept.nearest.mean())],
        floor=1 / count,
        ceiling=1.0,
        better="higher",
        samples=count,
        about="Share of translations whose own source is the one of the nearest edges; floor: "
        "chance.",
    )
    copies = row(
        "translate_nearest_training",
        [float(np.median(nearest_distances(sets.ends, sets.train)))],
        floor=0.0,
        ceiling=float(np.median(nearest_distances(sets.target, sets.train))),
        better="higher",
        samples=count,
        about="Median root mean square difference of a pixel to the nearest training image of the "
        "target; floor: copies, ceiling: held-out images of the target.",
    )
    return [away, own, copies], [beside("translate_edges", "colours matched", plain.own.mean())]


def picture(path: Path, states: list[np.ndarray], sets: Sets, shown: int) -> None:
    """Draw a column an image: source, states, end, where it moved, the nearest training image."""
    count = min(shown, len(sets.ends))
    heat = moved(sets.source[:count], sets.ends[:count])[:, None]
    heat = np.broadcast_to(2 * heat / heat.max() - 1, sets.source[:count].shape)
    near = sets.train[nearest_rows(sets.ends[:count], sets.train, 1)[:, 0]]
    rows = [*(state[:count] for state in states), heat.astype(np.float32), near]
    sheet(np.concatenate(rows), path, count, SIDE)
