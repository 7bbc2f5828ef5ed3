"""evaluate, of trajectories: displacement errors, the best of K, beside going on as before."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ebm.apply.extrapolate import constant_velocity, linear_fit
from ebm.metrics.displacement import by_plan, independent
from tasks.artefacts import load_arrays, new_folder, read_json
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.scores import beside, row, write_scores
from tasks.trajectories_settings import (
    GAUSSIAN,
    SPREAD,
    EvaluateTrajectoriesInputs,
    TrajectoriesSettings,
)
from tasks.trajectory_pictures import Fan, draw_fans, interesting

REVISION = 2

FANS = 4  # agents whose fans are drawn
SHOWN = 6  # of those beside an agent, at most

VELOCITY = "constant velocity, one prediction"
LINE = "linear fit, one prediction"
WITHOUT = "the same networks, beliefs of the Gaussian prior without the energy"
FIRST = "the first seed alone, by the energy"
CHOSEN = "of all seeds the model that is best on validation"
FLAWED = "of all seeds the model that is best on test (as published, and flawed)"

ABOUT = {
    "ade": "Mean distance to where agents went",
    "fde": "Distance to where agents are in the last frame",
    "independent": "the least of {} predictions of an agent",
    "by_plan": "of the one of {} predictions whose plan is nearest to the true one",
}

Arrays = dict[str, np.ndarray]
Rows = list[dict[str, Any]]


class Truth(NamedTuple):
    """Where agents were seen and where they went: (N, S, 2) and (N, T, 2)."""

    past: np.ndarray
    future: np.ndarray


class Figures(NamedTuple):
    """ADE and FDE, means over agents, by either selection, in the data's units."""

    ade_independent: float
    fde_independent: float
    ade_by_plan: float
    fde_by_plan: float


def run(
    name: str, part: None, inputs: EvaluateTrajectoriesInputs, paths: Paths, monitor: Monitor
) -> None:
    """Write results/NAME/metrics.json, and fans.png in results/NAME/evaluate."""
    asked, data = inputs.evaluate, paths.prepared(inputs.dataset)
    drawn = load_arrays(paths.samples(name) / "samples.npz")
    parts = {held: load_arrays(data / f"{held}.npz") for held in asked.parts}
    ahead = int(drawn["frames"][-1])
    truths = {held: Truth(x["x"][:, :-ahead], x["x"][:, -ahead:]) for held, x in parts.items()}
    jobs = [(held, model) for held in asked.parts for model in asked.models]
    jobs += [(asked.against, GAUSSIAN), (asked.against, SPREAD)]
    figures = {}
    for done, (held, model) in enumerate(jobs):
        figures[held, model] = measured(drawn, held, model, truths[held])
        monitor.progress(done + 1, len(jobs) + 1, f"{model}, {held}")
    notes = read_json(data / "manifest.json")["notes"]
    told = Told(asked, truths[asked.against], str(notes["unit"]), drawn)
    metrics, compared = rows(told, figures)
    with new_folder(paths.results(name) / "evaluate") as folder:
        picture(told, parts[asked.against], folder / "fans.png")
    monitor.progress(len(jobs) + 1, len(jobs) + 1, "fans")
    monitor.note(pictures=[str(paths.results(name) / "evaluate" / "fans.png")])
    write_scores(paths.results(name) / "metrics.json", name, told.protocol(), metrics, compared)


class Told(NamedTuple):
    """What is judged: the settings, the truth, the unit, and all that was drawn."""

    asked: TrajectoriesSettings
    truth: Truth
    unit: str
    drawn: Arrays

    @property
    def shape(self) -> tuple[int, ...]:
        """(draws, N, K, T, 2), of a model's predictions."""
        return self.drawn[f"{self.asked.against}.{self.asked.models[0]}.way"].shape

    def protocol(self) -> str:
        """Say how it was measured."""
        draws, agents, count, ahead, _ = self.shape
        told = (
            f"{count} predictions for each of {agents} {self.asked.against} agents, {ahead} frames "
            f"ahead, errors in {self.unit}, means over agents; those `independent` take the least "
            "ADE and the least FDE of an agent, those `by_plan` one prediction, whose plan is "
            "nearest to the true one (ADE of its way, FDE of its plan's end), as the published "
            "model's figures do."
        )
        models, more = len(self.asked.models), ""
        if models > 1:
            more = (
                f" Values are means over {models} models, learned with a seed each; forecasts "
                f"without the energy and those `{SPREAD}` are by the first."
            )
        return told + more + (f" Each forecasts {draws} times." if draws > 1 else "")


def measured(drawn: Arrays, held: str, model: str, truth: Truth) -> Figures:
    """Return the figures of a model's predictions, means over its draws."""
    ways, plans = (drawn[f"{held}.{model}.{what}"] for what in ("way", "plan"))
    true_plan = truth.future[:, drawn["frames"] - 1]
    found = []
    for plan, way in zip(plans, ways, strict=True):
        errors = [
            *independent(way, truth.future),
            *by_plan(plan, way, truth.future, true_plan),
        ]
        found.append([each.mean() for each in errors])
    return Figures(*np.mean(found, 0).tolist())


def rows(told: Told, figures: dict[tuple[str, str], Figures]) -> tuple[Rows, Rows]:
    """Return the rows of metrics.json: the metrics, and what they are compared with."""
    asked, count = told.asked, told.shape[2]
    metrics, compared = [], []
    others = rivals(told, figures)
    for how, models in (("", asked.models), (f"_{SPREAD}", [SPREAD])):
        for field in Figures._fields:
            error, _, selection = field.partition("_")
            metric = f"{error}_{count}_{selection}{how}" + suffix(asked.against)
            more = f", {count} that lie apart of {asked.candidates}" if how else ""
            metrics.append(
                row(
                    metric,
                    [getattr(figures[asked.against, model], field) for model in models],
                    floor=0.0,
                    ceiling=getattr(others[VELOCITY], field),
                    better="lower",
                    samples=len(told.truth.future),
                    about=f"{ABOUT[error]} in {told.unit}, {ABOUT[selection].format(count)}{more}; "
                    "the ceiling is that of constant velocity.",
                )
            )
            if not how:
                compared += [beside(metric, of, getattr(x, field)) for of, x in others.items()]
    return metrics, compared


def suffix(held: str) -> str:
    """Return what the names of figures end with: those of validation never pass for those of test.

    >>> suffix("validation")
    '_validation'
    """
    return "" if held == "test" else f"_{held}"


def rivals(told: Told, figures: dict[tuple[str, str], Figures]) -> dict[str, Figures]:
    """Return what the models are compared with."""
    asked, ahead = told.asked, told.truth.future.shape[1]
    found = {}
    for of, go_on in ((VELOCITY, constant_velocity), (LINE, linear_fit)):
        errors = independent(go_on(told.truth.past, ahead)[:, None], told.truth.future)
        ade, fde = (float(each.mean()) for each in errors)
        found[of] = Figures(ade, fde, ade, fde)
    found[WITHOUT] = figures[asked.against, GAUSSIAN]
    if len(asked.models) > 1:
        found[FIRST] = figures[asked.against, asked.models[0]]
        for of, held in ((CHOSEN, "validation"), (FLAWED, "test")):
            if held in asked.parts:
                best = min(asked.models, key=lambda m: figures[held, m].ade_independent)
                found[of] = figures[asked.against, best]
    return found


def picture(told: Told, data: Arrays, path: Path) -> None:
    """Draw some agents' fans, by the final model and, below, as if its energy were 0."""
    ahead = told.truth.future.shape[1]
    chosen = interesting(data["x"], data["x"].shape[1] - ahead, FANS)
    names = [told.asked.models[0], GAUSSIAN]
    ways = [told.drawn[f"{told.asked.against}.{model}.way"][0] for model in names]
    fans = [
        Fan(told.truth.past[i], told.truth.future[i], way[i], others(told.truth.past, data["y"], i))
        for way in ways
        for i in chosen
    ]
    titles = [
        f"agent {i}, {what}" for what in ("by the energy", "Gaussian prior alone") for i in chosen
    ]
    draw_fans(fans, titles, data["x"], path, columns=len(chosen))


def others(past: np.ndarray, window: np.ndarray, agent: int) -> np.ndarray:
    """Return the pasts, (M, S, 2), of those nearest to an agent in its window."""
    rows = np.flatnonzero(window == window[agent])
    rows = rows[rows != agent]
    away = np.linalg.norm(past[rows, -1] - past[agent, -1], axis=1)
    return past[rows[np.argsort(away, kind="stable")[:SHOWN]]]
