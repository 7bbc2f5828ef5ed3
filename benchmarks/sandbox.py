"""A copy of the project with a few experiments of seconds, to be killed, filled and torn.

It has the project's own code, graph and commands; params.yaml and dvc.yaml hold only the chosen
experiments, cut down, so that a run is mostly starting, writing and reading: what faults meet.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import yaml

from ebm.checksum import sha256

ROOT = Path(__file__).parents[1]
CODE = ("ebm", "tasks", "flows")
FILES = ("params.yaml", "dvc.yaml", ".gitignore", ".dvcignore")
MADE = ("data", "models", "samples", "results", ".work", "dvc.lock", ".dvc/cache", ".dvc/tmp")
FIT = {"updates": 60, "batch": 32, "check_every": 2, "checkpoint_every": 4}
PATIENCE = 600.0  # seconds until a command counts as stuck


class Said(NamedTuple):
    """How a command ended, what it printed, and its seconds."""

    code: int
    text: str
    seconds: float


class Plain(yaml.SafeDumper):
    """Writes what is held twice twice: params.yaml may have no aliases."""

    def ignore_aliases(self, data: object) -> bool:
        """Tell that nothing is an alias."""
        return True


class Sandbox:
    """A project in a folder of its own.

    Attributes:
        root: the folder.
        names: its experiments.
    """

    def __init__(self, root: Path, names: Sequence[str]) -> None:
        self.root, self.names = root, list(names)
        self.said: dict[int, Path] = {}  # what each command prints, by its process

    def make(self) -> None:
        """Write the project into its folder."""
        copy_project(self.root)
        params = cut(yaml.safe_load((ROOT / "params.yaml").read_text()), self.names)
        fetched = {each["source"] for each in params["datasets"].values()}
        graph = yaml.safe_load((ROOT / "dvc.yaml").read_text())
        graph = prune(graph, [*self.names, *fetched])
        self.write("params.yaml", params)
        self.write("dvc.yaml", graph)

    def write(self, name: str, content: object) -> None:
        """Write YAML, with no aliases."""
        (self.root / name).write_text(yaml.dump(content, Dumper=Plain, sort_keys=False))

    def copy(self, root: Path) -> "Sandbox":
        """Return a copy in another folder."""
        shutil.copytree(self.root, root, symlinks=True)
        return Sandbox(root, self.names)

    def start(self, *words: str, **environment: str) -> "subprocess.Popen[bytes]":
        """Start `ebm WORDS`, a run if none; what it prints goes to a file for `end`."""
        (self.root / ".work").mkdir(exist_ok=True)
        handle, place = tempfile.mkstemp(dir=self.root / ".work", prefix="said-")
        with os.fdopen(handle, "wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "flows", *(words or ("run", *self.names))],
                cwd=self.root,
                env=self.environment(**environment),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C here is no Ctrl-C there
            )
        self.said[process.pid] = Path(place)
        return process

    def environment(self, **more: str) -> dict[str, str]:
        """Return what a command is told: this project's code, and the embedded data."""
        told = {**os.environ, "PYTHONPATH": str(self.root), **more}
        return {name: value for name, value in told.items() if name != "EBM_DATA"}

    def run(self, *words: str, **environment: str) -> Said:
        """Run `ebm WORDS` to its end."""
        begun = time.monotonic()
        process = self.start(*words, **environment)
        return self.end(process, begun)

    def end(self, process: "subprocess.Popen[bytes]", begun: float | None = None) -> Said:
        """Wait for the end of a command."""
        begun = time.monotonic() if begun is None else begun
        code = process.wait(PATIENCE)
        text = self.said[process.pid].read_text(errors="replace")
        return Said(code, text, time.monotonic() - begun)

    def processes(self) -> list[psutil.Process]:
        """Return all living processes that work in the folder."""
        found = []
        for process in psutil.process_iter():
            try:
                here = Path(process.cwd()) == self.root
                if here and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    def of(self, words: Sequence[str]) -> list[psutil.Process]:
        """Return those whose command line has some words in a row."""
        found = []
        for process in self.processes():
            try:
                if " ".join(words) in " ".join(process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def stages(self) -> list[psutil.Process]:
        """Return the processes of stages."""
        return self.of(["-m", "tasks"])

    def digest(self) -> dict[str, str]:
        """Return the checksums of all that the stages wrote, as the files are now.

        Pictures, logs and times of a run are no outputs of a stage, and not in it.
        """
        stages = yaml.safe_load((self.root / "dvc.lock").read_text())["stages"]
        outs = [self.root / out["path"] for stage in stages.values() for out in stage["outs"]]
        files = [file for out in outs for file in ([out] if out.is_file() else out.rglob("*"))]
        return {str(f.relative_to(self.root)): sha256(f) for f in files if f.is_file()}

    def forget(self) -> None:
        """Remove all that runs have made but the databases of MLflow and Prefect."""
        for name in MADE:
            path = self.root / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def remove(self) -> None:
        """End what still runs there, and remove the folder."""
        left = self.processes()
        for process in left:
            try:
                process.kill()
            except psutil.Error:
                continue
        psutil.wait_procs(left, timeout=30)  # one that is ending holds its folder still
        shutil.rmtree(self.root, ignore_errors=True)


def copy_project(folder: Path) -> None:
    """Copy the code, the settings and the graph into a folder, which git and DVC know then."""
    from dvc.repo import Repo

    folder.mkdir(parents=True, exist_ok=True)
    for name in CODE:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    Repo.init(str(folder)).close()


def wait(true: Callable[[], Any], seconds: float = 120.0) -> Any:
    """Wait until something is true, and return it; None where it did not become so."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := true():
            return found
        time.sleep(0.02)
    return None


def cut(params: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the settings of a few experiments and their data, with few iterations and samples."""
    experiments = {name: params["experiments"][name] for name in names}
    for each in experiments.values():
        for stage in each["train"].values():
            if "like" not in stage:
                stage["fit"].update(FIT)
        each["sample"].update(count=100, draws=2, keep=2, shown=100)
        if "replay" in each["evaluate"]:
            each["evaluate"]["replay"].update(shown=[1, 10, 60], batch=50, chains=5)
    data = {each["dataset"] for each in experiments.values()}
    kept = {
        "experiments": experiments,
        "datasets": {name: params["datasets"][name] for name in sorted(data)},
        "references": {},
    }
    return {**params, **kept}


def prune(graph: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return dvc.yaml without the rows of other experiments, and without stages of no row."""
    stages = {}
    for verb, stage in graph["stages"].items():
        rows = stage.get("foreach")
        if isinstance(rows, dict):
            rows = {key: row for key, row in rows.items() if row.get("name", key) in names}
        if isinstance(rows, list):
            rows = [row for row in rows if row in names]
        if rows and verb != "reference":
            stages[verb] = {**stage, "foreach": rows}
    return {**graph, "stages": stages}
