"""Rows for `ebm list` and `ebm results`: what there is, and what it measured.

Read with yaml and json alone: torch and pandas would make a list take seconds.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from ebm.names import hint
from flows.expected import expected
from tasks.measured import FILES, checksums, strangers
from tasks.paths import Paths
from tasks.plain_yaml import parse
from tasks.regimes import regime

if TYPE_CHECKING:
    import pandas

ORIGIN = ("device", "seconds", "commit", "command")
LATER = ("sample", "evaluate", "classify", "apply")
COLUMNS = (
    "experiment",
    "system",
    "metric",
    "value",
    "spread",
    "floor",
    "ceiling",
    "seed_figure",
    "goal",
    "samples",
    "seeds",
    "device",
    "seconds",
    "commit",
    "command",
)


def experiments(paths: Paths) -> dict[str, Any]:
    """Return the experiments of params.yaml as they are written there.

    Raises:
        ValueError: the file is missing or no YAML, or holds no experiments.
    """
    try:
        found: dict[str, Any] = parse(paths.params.read_text("utf-8"))["experiments"]
        if not all(isinstance(each, dict) for each in found.values()):
            raise TypeError("an experiment holds keys")
    except (OSError, AttributeError, KeyError, TypeError, ValueError):
        from tasks.settings import read

        read(paths.params)  # says what is wrong, and where
        raise
    return found


def pick(found: Mapping[str, Any], name: str) -> Any:
    """Return an experiment, or say what the nearest name is.

    Raises:
        ValueError: there is none of this name.
    """
    if name not in found:
        raise ValueError(f"there is no experiment {name!r}; {hint(name, found)}")
    return found[name]


def load(path: Path) -> dict[str, Any]:
    """Return a JSON file's object, empty where there is none.

    Raises:
        ValueError: it is no JSON object.
    """
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); run its stage again") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no JSON object; run its stage again")
    return content


def list_rows(paths: Paths) -> list[dict[str, Any]]:
    """Return what `ebm list --json` prints: one object an experiment."""
    return [
        {
            "name": name,
            "systems": list(experiment["systems"]),
            "data": experiment["dataset"],
            "metrics": metric_names(paths, name, experiment),
            "device": experiment["device"],
            "minutes": minutes(paths, name, experiment),
        }
        for name, experiment in experiments(paths).items()
    ]


def metric_names(paths: Paths, name: str, experiment: Mapping[str, Any]) -> list[str]:
    """Return the metrics that were measured, or will be by the settings."""
    measured = [row["metric"] for row in metrics(paths, name)]
    return measured or expected(experiment)


def metrics(paths: Paths, name: str) -> list[dict[str, Any]]:
    """Return the metric rows of an experiment's results, file after file."""
    return [row for file in FILES for row in file_rows(paths, name, file)]


def file_rows(paths: Paths, name: str, file: str) -> list[dict[str, Any]]:
    """Return the metric rows of one file of an experiment's results."""
    return list(load(paths.results(name) / file).get("metrics", []))


def stage_records(
    paths: Paths, name: str, experiment: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Return the records of an experiment's stages by label, from this machine or run.json."""
    kept = load(paths.results(name) / "run.json").get("stages", [])
    shown = {record.get("label") or label_of(record): record for record in kept}
    parts = [("train", part) for part in experiment["train"]]
    parts += [(stage, None) for stage in LATER if experiment.get(stage)]
    found = {}
    for stage, part in parts:
        label = f"{stage}-{part}" if part else stage
        found[label] = load(paths.record(stage, name, part)) or shown.get(label, {})
    return found


def label_of(record: Mapping[str, Any]) -> str:
    """Name the stage of a record within its experiment."""
    return f"{record['stage']}-{record['part']}" if record.get("part") else str(record["stage"])


def minutes(paths: Paths, name: str, experiment: Mapping[str, Any]) -> float | None:
    """Return the minutes that the stages last took on such a device, None if one never ran."""
    total = 0.0
    for label, record in stage_records(paths, name, experiment).items():
        seconds, device = record.get("seconds"), record.get("device")
        computes = label.startswith(("train", "sample"))  # the others are the CPU's
        if seconds is None or (computes and device != experiment["device"]):
            return None
        total += seconds
    return round(total / 60, 2)


def result_rows(paths: Paths, names: Iterable[str] | None = None) -> list[dict[str, Any]]:
    """Return what `ebm results --json` prints: one object a metric of an experiment.

    Args:
        names: experiments; None is every one that has results.
    """
    found = experiments(paths)
    chosen = {name: pick(found, name) for name in (found if names is None else names)}
    return [
        {
            "experiment": name,
            "system": ", ".join(experiment["systems"]),
            **{key: row.get(key) for key in ("metric", "value", "spread", "floor", "ceiling")},
            **goal(experiment, row["metric"]),
            "samples": row.get("samples"),
            "seeds": row.get("seeds"),
            **facts[file],
        }
        for name, experiment in chosen.items()
        for facts in [run_facts(paths, name)]
        for file in FILES
        for row in file_rows(paths, name, file)
    ]


def goal(experiment: Mapping[str, Any], metric: str) -> dict[str, Any]:
    """Return what a metric is held against."""
    given = (experiment.get("goals") or {}).get(metric) or {}
    return {"seed_figure": given.get("seed_figure"), "goal": given.get("goal")}


def run_facts(paths: Paths, name: str) -> dict[str, dict[str, Any]]:
    """Return where the numbers of each file come from; nothing where run.json is of others."""
    run, other = load(paths.results(name) / "run.json"), orphans(paths, name)
    return {file: {k: None if file in other else run.get(k) for k in ORIGIN} for file in FILES}


def orphans(paths: Paths, name: str) -> list[str]:
    """Return the files of figures that the run of run.json did not leave."""
    return strangers(load(paths.results(name) / "run.json"), checksums(paths, name))


def warnings(paths: Paths, names: Iterable[str]) -> list[str]:
    """Say which experiments have figures of which no complete run is known."""
    return [
        f"figures of {name} have no complete run behind them; run ebm run {name}"
        for name in names
        if orphans(paths, name)
    ]


def regimes(paths: Paths, names: Iterable[str]) -> list[str]:
    """Say the regime of each experiment that has one, with its evidence."""
    found = experiments(paths)
    known = {name: regime(paths, name, found[name]["train"]) for name in names}
    return [f"{name}: {r['name']}; {r['evidence']}" for name, r in known.items() if r]


def frame(rows: Sequence[Mapping[str, Any]]) -> "pandas.DataFrame":
    """Return the rows as a table, for a csv file or a notebook."""
    import pandas

    return pandas.DataFrame(rows, columns=list(COLUMNS))


def number(value: Any) -> str:
    """Say a value in a table: four significant digits, a dash for none."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def list_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return what `ebm list` shows."""
    table = Table("experiment", "systems", "data", "device", "minutes", "metrics")
    for row in rows:
        shown = ", ".join(row["metrics"][:3]) + (", ..." if len(row["metrics"]) > 3 else "")
        systems = ", ".join(row["systems"])
        took = number(row["minutes"])
        table.add_row(row["name"], systems, row["data"], row["device"], took, shown)
    return table


def result_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return what `ebm results` shows."""
    keys = ("experiment", "metric", "value", "spread", "floor", "ceiling", "seed_figure", "goal")
    table = Table(*(key.replace("_", " ") for key in keys))
    for key, column in zip(keys, table.columns, strict=True):
        column.justify = "left" if key in ("experiment", "metric") else "right"
        column.overflow = "fold"
    for row in rows:
        table.add_row(*(number(row[key]) for key in keys))
    return table
