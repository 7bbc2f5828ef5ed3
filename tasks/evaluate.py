"""evaluate: measure the samples by what the settings name, beside what they must beat."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ebm.metrics.classifier import FeatureNetwork, train_classifier
from ebm.metrics.nearest import nearest_distances, nearest_rows
from tasks import judges
from tasks.artefacts import load_arrays, new_folder, read_json
from tasks.inputs import EvaluateInputs
from tasks.judges import NOISE, SAMPLES, TEST, TRAIN, Asked, Judge
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.pictures import sheet
from tasks.scores import beside, naming, row, write_scores

REVISION = 1

SHOWN, BELOW = 10, 3  # samples pictured, and the training images below each

Images = np.ndarray
Figures = dict[str, dict[str, list[float]]]  # one of each draw, by metric and set


def run(name: str, part: None, inputs: EvaluateInputs, paths: Paths, monitor: Monitor) -> None:
    """Write results/NAME/metrics.json, and nearest.png in results/NAME/evaluate."""
    data = paths.prepared(inputs.dataset)
    held = inputs.evaluate.against
    train, test = load_arrays(data / "train.npz"), load_arrays(data / f"{held}.npz")
    grids = finest(load_arrays(paths.samples(name) / "samples.npz"))
    draws, count = grids[0].shape[:2]
    check_counts(name, inputs, count, len(test["x"]))
    asked = Asked(name, inputs.dataset, inputs.evaluate, count, inputs.seed)
    classes = read_json(data / "manifest.json")["classes"]
    chosen = choose(asked, train, test, classes, paths)
    sets = {SAMPLES: list(grids[0]), **rivals(grids, train["x"], inputs.seed)}
    spread = train["x"][:: max(1, len(train["x"]) // count)][:count]
    measured = measure(chosen, sets, spread, monitor)
    metrics, compared = rows(chosen, measured, count)
    told = [judge.about for judge in chosen if judge.about]
    protocol = " ".join([*told, f"Values are means over {draws} draws of {count} images."])
    with new_folder(paths.results(name) / "evaluate") as folder:
        picture(folder / "nearest.png", grids[0][0], train["x"])
    monitor.note(pictures=[str(paths.results(name) / "evaluate" / "nearest.png")])
    told_of = naming(held)
    write_scores(
        paths.results(name) / "metrics.json",
        name,
        told_of(protocol),
        [told_of(each) for each in metrics],
        [told_of(each) for each in compared],
    )


def choose(
    asked: Asked, train: dict[str, Images], test: dict[str, Images], classes: int, paths: Paths
) -> list[Judge]:
    """Return the judges that the settings name; what is refused is refused before any is asked."""
    networks, found = asked.settings.networks, []
    if "cnn" in networks:
        found.append(judges.cnn(asked, feature_network(asked, train, classes), train, test))
    found.append(judges.nearest(train["x"], test["x"]))
    if "pixels" in networks:
        found.append(judges.pixels(asked, test["x"]))
    if "inception" in networks:
        found.append(judges.inception(asked, paths))
    return found


def feature_network(asked: Asked, train: dict[str, Images], classes: int) -> FeatureNetwork:
    """Train the classifier that the settings name."""
    x, y = torch.from_numpy(train["x"]), torch.from_numpy(train["y"])
    return train_classifier(x, y, classes=classes, seed=asked.seed, **asked.settings.classifier())


class Task(NamedTuple):
    """A set of images, in draws, that a judge looks at."""

    judge: Judge
    of: str
    draws: list[Images]

    @property
    def cost(self) -> int:
        """Images to look at, weighted."""
        return self.judge.cost * sum(map(len, self.draws))


def tasks_of(judge: Judge, sets: dict[str, list[Images]], train: Images) -> list[Task]:
    """Return what a judge has to look at: a slow one only what no figure can do without."""
    if judge.cost > 1:
        sets = {SAMPLES: sets[SAMPLES], NOISE: sets[NOISE][:1]}
    bounds = {bound for m in judge.measures for bound in (m.floor, m.ceiling)}
    if TRAIN in bounds and TRAIN not in judge.seen:
        sets = {**sets, TRAIN: [train]}
    return [Task(judge, of, draws) for of, draws in sets.items()] if judge.measures else []


def measure(
    chosen: list[Judge], sets: dict[str, list[Images]], train: Images, monitor: Monitor
) -> Figures:
    """Return the figures of every draw of every set, and of the real images."""
    todo = [task for judge in chosen for task in tasks_of(judge, sets, train)]
    total, done = sum(task.cost for task in todo), 0
    found: Figures = {}
    for judge in chosen:
        for of, seen in judge.seen.items():
            keep(found, judge, of, seen)
    for task in todo:
        for images in task.draws:

            def told(count: int, task: Task = task, done: int = done) -> None:
                monitor.progress(done + task.judge.cost * count, total, task.of)

            keep(found, task.judge, task.of, task.judge.see(images, told))
            done += task.judge.cost * len(images)
            monitor.progress(done, total, task.of)
    return found


def keep(found: Figures, judge: Judge, of: str, seen: Any) -> None:
    """Add a draw's figures; those of real images only where they bound others."""
    for each in judge.measures:
        if of not in judge.seen or of in (each.floor, each.ceiling):
            found.setdefault(each.metric, {}).setdefault(of, []).append(each.value(seen))


def finest(samples: dict[str, np.ndarray]) -> list[Images]:
    """Return the grids' samples, (draws, count, C, s, s) each, the finest first."""
    return sorted(samples.values(), key=lambda grid: -grid.shape[-1])


def check_counts(name: str, inputs: EvaluateInputs, count: int, test: int) -> None:
    """Refuse too few images for the Frechet distance, naming the setting to change."""
    width = inputs.evaluate.feature_width
    if "cnn" not in inputs.evaluate.networks or width is None:
        return
    for key, found in {
        f"experiments.{name}.sample.count": count,
        f"datasets.{inputs.dataset}.test": test,
    }.items():
        if found <= width:
            raise ValueError(
                f"{key} gave {found} images; the Frechet distance needs more than the {width} "
                f"features of experiments.{name}.evaluate.feature_width"
            )


def rivals(grids: list[Images], train: Images, seed: int) -> dict[str, list[Images]]:
    """Return what the samples are compared with, as many draws and images of each."""
    draws, count = grids[0].shape[:2]
    random = np.random.default_rng((seed, draws, count))
    normal = [gaussian(train, count, random) for _ in range(draws)]
    noise = [random.uniform(-1, 1, (count, *train.shape[1:])) for _ in range(draws)]
    others = {
        "Gaussian with the data's covariance": normal,
        "Gaussian with the data's covariance, clamped to [-1, 1]": [x.clip(-1, 1) for x in normal],
        NOISE: [x.astype(np.float32) for x in noise],
    }
    if len(grids) == 1:
        return others
    return {"coarser grid, upsampled": list(enlarge(grids[1], train.shape[-1])), **others}


def gaussian(train: Images, count: int, random: np.random.Generator) -> Images:
    """Draw from the Gaussian with the mean and covariance of train: (M, C, H, W).

    Centred data mixed with standard normal weights have their covariance, whatever its rank.
    """
    flat = train.reshape(len(train), -1).astype(np.float64)
    mean = flat.mean(0)
    weights = random.standard_normal((count, len(flat))) / np.sqrt(len(flat) - 1)
    return (mean + weights @ (flat - mean)).reshape(count, *train.shape[1:]).astype(np.float32)


def enlarge(images: Images, size: int) -> Images:
    """Return images (..., s, s) with each pixel repeated, (..., size, size)."""
    times = size // images.shape[-1]
    return images.repeat(times, -1).repeat(times, -2)


def rows(
    chosen: list[Judge], measured: Figures, count: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of metrics.json: the metrics, and what they are compared with.

    Args:
        chosen: who judged.
        measured: the figures.
        count: images in a draw.
    """
    metrics, compared = [], []
    for each in [each for judge in chosen for each in judge.measures]:
        values = measured[each.metric]
        low, high = (
            bound if isinstance(bound, float) else float(np.mean(values[str(bound)]))
            for bound in (each.floor, each.ceiling)
        )
        metrics.append(
            row(
                each.metric,
                values[SAMPLES],
                floor=low,
                ceiling=high,
                better=each.better,
                samples=count,
                about=each.about,
            )
        )
        others = {of: v for of, v in values.items() if of not in (SAMPLES, TRAIN, TEST)}
        compared += [beside(each.metric, of, v) for of, v in others.items()]
    real = measured["nearest_training"][TEST]
    return metrics, [*compared, beside("nearest_training", "the real test images", real)]


def picture(path: Path, samples: Images, train: Images) -> None:
    """Draw the samples nearest to a training image, and below each its nearest training images."""
    first = np.argsort(nearest_distances(samples, train), kind="stable")[:SHOWN]
    known = nearest_rows(samples[first], train, min(BELOW, len(train)))
    sheet(np.concatenate([samples[first], *train[known.T]]), path, columns=len(first))
