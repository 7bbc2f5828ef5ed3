"""What a person reads of an experiment on the dashboards: tags, and its figures as Markdown."""

from collections.abc import Iterable, Mapping
from typing import Any

from tasks.artefacts import read_json
from tasks.experiment_settings import Experiment
from tasks.measured import FILES
from tasks.paths import Paths
from tasks.settings import Params

COLUMNS = ("metric", "value", "floor", "ceiling", "tutorial", "goal")
LONGEST = 7500  # characters of a description, below MLflow's limit of a tag


def tags(params: Params, name: str) -> dict[str, str]:
    """Return what the runs of an experiment are filtered and grouped by; nothing of data alone."""
    experiment = params.experiments.get(name)
    if experiment is None:
        return {"dataset": name}
    return {
        "experiment": name,
        "system": ", ".join(experiment.systems),
        "dataset": experiment.dataset,
        "learner": experiment.learner,
        "device": experiment.device,
    }


def together(found: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the tags of several experiments as those of one flow.

    >>> together([{"dataset": "a"}, {"dataset": "b", "system": "S01"}, {"dataset": "a"}])
    {'dataset': 'a, b', 'system': 'S01'}
    """
    values: dict[str, dict[str, None]] = {}
    for each in found:
        for key, value in each.items():
            values.setdefault(key, {})[value] = None
    return {key: ", ".join(several) for key, several in values.items()}


def facts(experiment: Experiment) -> str:
    """Say in a line what an experiment is made of."""
    systems = ", ".join(experiment.systems)
    return f"{systems} on {experiment.dataset}, {experiment.learner}, {experiment.device}"


def flow(
    paths: Paths, params: Params, names: Iterable[str], command: str, measured: Iterable[str] = ()
) -> str:
    """Describe a flow: each experiment, what it is made of, and what was measured.

    Args:
        measured: experiments whose figures are of this flow.
    """
    parts = [f"`{command}`"]
    for name in names:
        experiment = params.experiments[name]
        parts += [f"### {name}", f"{experiment.about}.", facts(experiment)]
        parts += [table(paths, name, experiment)] if name in measured else []
    text = "\n\n".join(parts)
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST].rpartition(chr(10))[0]}\n\nMore: `ebm results`."


def table(paths: Paths, name: str, experiment: Experiment) -> str:
    """Return an experiment's figures as a table of Markdown, each beside what it is held against.

    Their reports are written later, so this reads the files of figures themselves.
    """
    files = [paths.results(name) / file for file in FILES]
    rows = [r for file in files if file.is_file() for r in read_json(file).get("metrics", [])]
    lines = [line(row, experiment) for row in rows]
    if not lines:
        return "Nothing was measured."
    rule = ["---", *["---:"] * 4, "---"]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [list(COLUMNS), rule, *lines])


def line(row: Mapping[str, Any], experiment: Experiment) -> list[str]:
    """Return the cells of one figure."""
    goal = experiment.goals.get(row["metric"])
    value = number(row["value"])
    if row.get("spread") is not None:
        value += f" ± {row['spread']:.2g}"
    bounds = [number(row.get("floor")), number(row.get("ceiling"))]
    held = [number(goal.seed_figure), number(goal.goal)] if goal else ["", ""]
    return [row["metric"], value, *bounds, *(cell.replace("|", "/") for cell in held)]


def number(value: Any) -> str:
    """Say a value in a cell: four digits that matter, nothing for none."""
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
