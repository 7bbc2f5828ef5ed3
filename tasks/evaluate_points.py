"""evaluate, of points: the model's density held against the one that the data were drawn from."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ebm.datasets.densities import Mixture, density
from ebm.energy import tilt
from ebm.learn import learner_class
from ebm.learn.replay import Seen, replay
from ebm.metrics.energy_distance import energy_distance
from ebm.metrics.nearest_gaussian import covering, focusing
from ebm.metrics.quadrature import Grid, Judged, grid, judge, kl, log_z, values
from ebm.model import Model
from ebm.stored import load
from tasks.artefacts import load_arrays, new_folder, read_json
from tasks.learning_pictures import draw_both_kls, draw_replay
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.point_pictures import draw_densities
from tasks.points_settings import EvaluatePointsInputs, PointsSettings
from tasks.scores import beside, row, write_scores
from tasks.second_opinion import second_opinion

REVISION = 2

GAUSSIAN = "Gaussian with the data's mean and covariance"
FOCUSED = "Gaussian nearest in KL(model, data)"
STARTS = 8  # centres of the data's mixture that the search for it starts from
DATA = "training points"

Rows = list[dict[str, Any]]


class Found(NamedTuple):
    """What was measured of the model.

    Attributes:
        judged: by quadrature.
        gaussian: log density of the Gaussian with the data's moments on the grid, normalised.
        focused: the same of the Gaussian nearest in KL(model, data).
        where: the grid.
        c: the learned log Z, None where none is learned.
        reference: log Z of the reference alone, None where it is uniform.
    """

    judged: Judged
    gaussian: Tensor
    focused: Tensor
    where: Grid
    c: float | None
    reference: float | None


def run(
    name: str, part: None, inputs: EvaluatePointsInputs, paths: Paths, monitor: Monitor
) -> None:
    """Write results/NAME/metrics.json, and densities.png in results/NAME/evaluate."""
    data, held = paths.prepared(inputs.dataset), inputs.evaluate.against
    truth = density(read_json(data / "manifest.json")["notes"]["density"])
    draws = load_arrays(paths.samples(name) / "samples.npz")["points"]
    real, train = (load_arrays(data / f"{of}.npz")["x"] for of in (held, "train"))
    asked = inputs.evaluate.quadrature
    model = load(paths.model(name, inputs.final))
    found = look(model.learner, truth, grid(asked.half, asked.cells))
    monitor.progress(1, 3, "densities")
    seen = watched(model, torch.from_numpy(train), inputs, found.where)
    monitor.progress(2, 3, "learning, watched")
    metrics, compared = of_densities(found)
    metrics += second_opinion(model.learner, found.c, inputs.seed)
    near = of_samples(draws, real, train, held, inputs.seed)
    with new_folder(paths.results(name) / "evaluate") as folder:
        picture(found, draws[0], seen, inputs.evaluate, folder)
    monitor.progress(3, 3, "samples")
    shown = sorted((paths.results(name) / "evaluate").glob("*.png"))
    monitor.note(pictures=[str(path) for path in shown])
    write_scores(
        paths.results(name) / "metrics.json",
        name,
        protocol(found, *draws.shape[:2]),
        [*metrics, *near[0]],
        [*compared, *near[1]],
    )


def watched(model: Model, train: Tensor, inputs: EvaluatePointsInputs, where: Grid) -> list[Seen]:
    """Let a new learner with the model's settings learn, and return the updates to picture."""
    asked = inputs.evaluate.replay
    if asked is None:
        return []
    torch.manual_seed(inputs.seed)  # the networks' first parameters
    learner = learner_class(model.about["learner"])(model.learner.settings)
    seed, points = inputs.seed, where.points
    return replay(learner, train, asked.shown, batch=asked.batch, seed=seed, points=points)


def picture(
    found: Found, samples: np.ndarray, seen: list[Seen], asked: PointsSettings, folder: Path
) -> None:
    """Draw the densities, both directions of KL, and learning where it was watched."""
    side, half = found.where.side, found.where.half
    log_data, log_model = found.judged.log_data, found.judged.log_model
    square = [each.reshape(side, side).numpy() for each in (log_data, log_model)]
    draw_densities(square[0], square[1], samples, half, folder / "densities.png")
    fitted = {"least KL(data, Gaussian)": found.gaussian, "least KL(Gaussian, data)": found.focused}
    draw_both_kls(log_data, fitted, side, half, folder / "both_kls.png")
    if asked.replay is not None:
        draw_replay(seen, side, half, asked.replay.chains, folder / "mode_shifting.png")


def look(learner: Any, truth: Mixture, where: Grid) -> Found:
    """Sum the densities over the grid."""
    judged = judge(learner.score, truth.log_density, where)
    c, sd = getattr(learner, "c", None), learner.settings.reference
    flat = None if sd is None else values(tilt(lambda x: torch.zeros(len(x)), sd), where)
    return Found(
        judged,
        covering(judged.log_data, where),
        focusing(judged.log_data, where, spread_out(truth.centres), truth.sd),
        where,
        None if c is None else float(c.detach()),
        None if flat is None else log_z(flat, where),
    )


def spread_out(centres: Tensor) -> Tensor:
    """Return STARTS of the centres, (M, 2), or all of fewer, at equal distances in their order."""
    rows = np.linspace(0, len(centres), min(STARTS, len(centres)), endpoint=False)
    return centres[rows.astype(int)]


def of_densities(found: Found) -> tuple[Rows, Rows]:
    """Return the rows of both divergences, of log Z and of the rim, and of their rivals."""
    judged, where = found.judged, found.where
    data = judged.log_data
    rivals = {GAUSSIAN: found.gaussian, FOCUSED: found.focused}
    forward = {of: kl(data, log_q, where) for of, log_q in rivals.items()}
    backward = {of: kl(log_q, data, where) for of, log_q in rivals.items()}
    pairs = {
        "kl_data_model": (
            judged.kl_data_model,
            forward,
            "KL(data, model) in nats: large where the model misses data; what maximum likelihood "
            "descends.",
        ),
        "kl_model_data": (
            judged.kl_model_data,
            backward,
            "KL(model, data) in nats: large where the model has mass and there are no data.",
        ),
    }
    metrics = [figure(m, v, tops[GAUSSIAN], about, where) for m, (v, tops, about) in pairs.items()]
    compared = [beside(m, of, top) for m, (_, tops, _) in pairs.items() for of, top in tops.items()]
    if found.c is not None:
        top = None if found.reference is None else abs(found.reference - judged.log_z)
        about = (
            f"|c - log Z| in nats: the learned c is {found.c:.3f}, log Z by quadrature "
            f"{judged.log_z:.3f}; the ceiling is the error of the reference's own log Z."
        )
        metrics.append(figure("log_z_error", abs(found.c - judged.log_z), top, about, where))
    about = (
        "Share of the model's mass in the outer 5 % of the box: near 0, or the box is too small."
    )
    return [*metrics, figure("rim_mass", judged.rim, None, about, where)], compared


def figure(
    metric: str, value: float, ceiling: float | None, about: str, where: Grid
) -> dict[str, Any]:
    """Return the row of a figure that is summed over the grid's cells; 0 is perfect."""
    made = row(
        metric,
        [value],
        floor=0.0,
        ceiling=ceiling,
        better="lower",
        samples=len(where.points),
        about=about,
    )
    return {**made, "unit": "cells"}


def of_samples(
    draws: np.ndarray, real: np.ndarray, train: np.ndarray, held: str, seed: int
) -> tuple[Rows, Rows]:
    """Return the rows of the energy distance of samples to the part of the data held against.

    Args:
        draws: (draws, count, 2).
        real: (N, 2), of that part.
        train: (M, 2), of which as many are held against it as a yardstick.
        held: name of that part.
        seed: of the rivals.
    """
    random, count = np.random.default_rng((seed, *draws.shape[:2])), draws.shape[1]
    mean, covariance = train.mean(0, dtype=float), np.cov(train.T.astype(float))
    rivals = {
        GAUSSIAN: [random.multivariate_normal(mean, covariance, count) for _ in draws],
        DATA: [random.permutation(train)[:count] for _ in draws],
    }
    values = {of: [distance(x, real) for x in sets] for of, sets in rivals.items()}
    metric = row(
        f"energy_distance_{held}",
        [distance(x, real) for x in draws],
        floor=0.0,
        ceiling=float(np.mean(values[GAUSSIAN])),
        better="lower",
        samples=count,
        about=f"Squared energy distance of samples to the {held} points; it is unbiased, so that "
        "of equal distributions swings about 0.",
    )
    return [metric], [beside(metric["metric"], of, found) for of, found in values.items()]


def distance(x: np.ndarray, real: np.ndarray) -> float:
    """Return the squared energy distance of two sets of points."""
    return energy_distance(torch.from_numpy(x), torch.from_numpy(real))


def protocol(found: Found, draws: int, count: int) -> str:
    """Say how it was measured."""
    where = found.where
    return (
        f"Densities are summed over {where.side} x {where.side} cells of [-{where.half:g}, "
        f"{where.half:g}]^2; log Z of the model is {found.judged.log_z:.3f} nats. The energy "
        f"distance is a mean over {draws} draws of {count} samples."
    )
