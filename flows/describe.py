"""The lines of `ebm show` and `ebm why`."""

from collections.abc import Iterator
from typing import Any

import yaml

from flows.graph import Stage, all_stages, open_repo, stages_of, status, would_run
from flows.results import experiments, minutes, pick, regimes, stage_records
from tasks.monitor import clock
from tasks.paths import Paths


def describe(paths: Paths, name: str) -> Iterator[str]:
    """Say an experiment's settings, stages, expected time and model.

    Raises:
        ValueError: there is no such experiment, or its settings are wrong.
    """
    from tasks.settings import read

    experiment = pick(experiments(paths), name)
    resolved = read(paths.params).experiments[name].model_dump(mode="json")
    yield f"Settings of {name} (params.yaml):"
    text = yaml.safe_dump(resolved, sort_keys=False, default_flow_style=None, width=96)
    yield from (f"  {line}" for line in text.splitlines())
    yield ""
    yield "Stages, in the order of work:"
    for stage in stages(paths, name):
        over = f"  <- {', '.join(stage.upstream)}" if stage.upstream else ""
        yield f"  {stage.address}{over}"
    yield ""
    yield from time_lines(paths, name, experiment)
    folder = paths.model(name, resolved["final"])
    made = "" if (folder / "model.json").is_file() else " (not trained yet)"
    yield f"Trained model: {folder}{made}"
    yield from (f"Regime of {line}" for line in regimes(paths, [name]))


def time_lines(paths: Paths, name: str, experiment: Any) -> Iterator[str]:
    """Say how long the experiment takes, by its last measured run."""
    expected = minutes(paths, name, experiment)
    if expected is None:
        yield f"Expected time: not measured yet on a {experiment['device'].upper()}"
        return
    records = stage_records(paths, name, experiment)
    took = [f"{label} {clock(record['seconds'])}" for label, record in records.items()]
    machines = {r["device_name"] for r in records.values() if r.get("device_name")}
    on = f" on {', '.join(sorted(machines))}" if machines else ""
    yield f"Expected time: {clock(60 * expected)}{on}, as last measured ({', '.join(took)})"


def stages(paths: Paths, name: str) -> list[Stage]:
    """Return an experiment's stages and those they stand on, in the order of work."""
    with open_repo(paths) as repo:
        return stages_of(all_stages(repo), [name])


def reasons(paths: Paths, name: str) -> Iterator[str]:
    """Say which stages would run again, and why.

    Raises:
        ValueError: there is no such experiment, or its settings are wrong.
    """
    from tasks.refusals import pick as pick_settings
    from tasks.settings import read

    pick_settings(read(paths.params).experiments, name, "experiment")
    with open_repo(paths) as repo:
        asked = stages_of(all_stages(repo), [name])
        changed = status(repo, paths, asked)
    tried = would_run(asked, changed)
    for address, because in tried.items():
        if address in changed:
            yield f"{address} would run:"
            yield from (f"  {reason}" for reason in because)
        else:
            before = ", ".join(reason.removeprefix("follows ") for reason in because)
            yield f"{address} would run if {before} gives something new"
    if not tried:
        yield f"Nothing would run: all {len(asked)} stages of {name} are up to date."
