"""How long a suite takes that finds nothing to do: every experiment for a CPU, all up to date.

    python -m benchmarks.suite

A copy of the project is made in a temporary folder, and all that its stages write is put there as
small files that dvc.lock vouches for. Then `ebm suite cpu` is called as a person would, a few
times. Files are small here; DVC remembers the checksum of one that has not changed, so their size
does not count. Writes results/benchmarks/suite.json.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from benchmarks.sandbox import ROOT, copy_project
from flows import parsed
from flows.environment import prepare_environment
from tasks.artefacts import write_json
from tasks.device import describe
from tasks.lineage import commit

TURNS, GOAL = 3, 30.0  # seconds
FIGURES = ("metrics.json", "classify.json", "apply.json")


def forge(folder: Path) -> int:
    """Make all that the stages write, and a dvc.lock that says it is of them; return the stages."""
    import networkx
    from dvc.repo import Repo
    from dvc.stage.serialize import to_single_stage_lockfile

    parsed.remember()
    with Repo(str(folder)) as repo:
        stages = list(networkx.topological_sort(repo.index.graph.reverse(copy=True)))
        for stage in stages:
            for path in [*stage.deps, *stage.outs]:
                put(Path(path.fs_path))
        with repo.lock:
            for stage in stages:
                stage.save(run_cache=False)
                stage.commit()
        lock = {stage.name: to_single_stage_lockfile(stage) for stage in stages}
    text = yaml.safe_dump({"schema": "2.0", "stages": plain(lock)}, sort_keys=False)
    (folder / "dvc.lock").write_text(text)
    return len(stages)


def put(path: Path) -> None:
    """Make a file where a suffix says that it is one, a folder with a file in it otherwise."""
    if path.exists():
        return
    if path.suffix:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"metrics": []}' if path.name in FIGURES else str(path))
    else:
        path.mkdir(parents=True)
        (path / "manifest.json").write_text(json.dumps(str(path)))


def plain(content: Any) -> Any:
    """Return DVC's mappings as those of Python."""
    return json.loads(json.dumps(content))


def report(folder: Path, names: list[str]) -> None:
    """Leave the pages of earlier runs, so that none is missing."""
    for name in names:
        results = folder / "results" / name
        results.mkdir(parents=True, exist_ok=True)
        (results / "run.json").write_text('{"command": "ebm suite cpu"}')
        (results / "report.html").touch()
    (folder / "results" / "index.html").touch()


def call(folder: Path) -> tuple[float, float, str]:
    """Call the suite; return its seconds, those of the processor, and what it printed."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "flows", "suite", "cpu"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        check=False,
        text=True,
    )
    wall, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"ebm suite cpu ended with {done.returncode}: {done.stderr[-1000:]}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, used, done.stdout + done.stderr


def measure(folder: Path, turns: int) -> dict[str, Any]:
    """Return what suites that find nothing to do take."""
    copy_project(folder)
    stages = forge(folder)
    params = yaml.safe_load((folder / "params.yaml").read_text())["experiments"]
    names = [name for name, each in params.items() if each["device"] == "cpu"]
    report(folder, names)
    spent = []
    for _ in range(turns):
        wall, used, printed = call(folder)
        if f"{len(names)} up to date" not in printed:
            raise RuntimeError(f"something was not up to date: {printed[-1000:]}")
        spent.append((wall, used))
    return {
        "experiments": len(names),
        "stages_in_dvc.yaml": stages,
        "seconds": [round(wall, 1) for wall, _ in spent],
        "median_seconds": round(statistics.median(wall for wall, _ in spent), 1),
        "median_processor_seconds": round(statistics.median(used for _, used in spent), 1),
        "goal_seconds": GOAL,
    }


def main() -> int:
    """Measure, and write the file."""
    prepare_environment(ROOT)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), TURNS)
    found = {
        "command": "python -m benchmarks.suite",
        "commit": commit(ROOT),
        **describe("cpu"),
        "cores": os.cpu_count(),
        "load_before": round(load, 1),
        **found,
    }
    target = ROOT / "results" / "benchmarks" / "suite.json"
    write_json(target, found)
    print(target.read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
