"""A whole tiny project with git and DVC, and a Prefect server for the session."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.environment import prepare_environment

ROOT = Path(__file__).parents[2]
JOINT, GRID = "multigrid-digits-joint", "multigrid-digits"
TRAIN = f"train@{JOINT}-joint"
CODE = ("ebm", "tasks", "flows")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A Prefect server that the flows of the session tell, here and in other processes."""
    folder = tmp_path_factory.mktemp("prefect")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(folder))
        patch.setenv("DVC_SITE_CACHE_DIR", str(folder / "dvc"))
        patch.setenv("PATH", os.environ["PATH"])
        prepare_environment(ROOT)
        from prefect.settings import PREFECT_API_URL
        from prefect.testing.utilities import prefect_test_harness

        with prefect_test_harness(server_startup_timeout=120):
            patch.setenv("PREFECT_API_URL", str(PREFECT_API_URL.value()))
            yield


def tiny(content: dict[str, Any]) -> dict[str, Any]:
    """Cut every experiment down to seconds."""
    for experiment in content["experiments"].values():
        experiment["threads"] = 1
        for stage in experiment["train"].values():
            if "like" in stage:
                continue
            stage["fit"].update(updates=12, batch=16, check_every=2, checkpoint_every=4)
            for grid in stage["model"].get("grids", []):
                grid.update(width=4, steps=2)
    return content


def copy_code(folder: Path) -> None:
    """Copy the project's code and graph."""
    for name in CODE:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(ROOT / name, folder)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, server: None) -> Path:
    """A project whose data is prepared, by plain `dvc repro`."""
    folder = tmp_path_factory.mktemp("template")
    copy_code(folder)
    content = tiny(yaml.safe_load((ROOT / "params.yaml").read_text()))
    (folder / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    from dvc.repo import Repo

    Repo.init(str(folder)).close()
    repro(folder, "prepare@digits")
    return folder


@pytest.fixture(scope="session")
def repro_template(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with every model trained by plain `dvc repro`."""
    folder = tmp_path_factory.mktemp("trained") / "project"
    shutil.copytree(template, folder)
    repro(folder, TRAIN, f"train@{GRID}-grid-8")
    return folder


@pytest.fixture
def pipeline(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of this test's own, its data prepared; the current folder."""
    return own_copy(template, tmp_path, monkeypatch)


@pytest.fixture
def trained(repro_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of this test's own, its models trained; the current folder."""
    return own_copy(repro_template, tmp_path, monkeypatch)


def own_copy(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy a project and go there."""
    folder = tmp_path / "project"
    shutil.copytree(source, folder)
    monkeypatch.chdir(folder)
    return folder


def repro(folder: Path, *targets: str) -> None:
    """Run `dvc repro` as a person would."""
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q", *targets], cwd=folder, check=True)


def only_trained(name: str) -> None:
    """Have nothing to do for an experiment but what is trained, in the current folder's project."""
    graph = yaml.safe_load(Path("dvc.yaml").read_text())
    for stage, rows in graph["stages"].items():
        if not stage.startswith(("fetch", "prepare", "reference", "train")):
            rows["foreach"] = {key: row for key, row in rows["foreach"].items() if key != name}
    Path("dvc.yaml").write_text(yaml.safe_dump(graph))
    page = Path("results") / name / "report.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.touch()


def outputs(folder: Path) -> dict[str, dict[str, str]]:
    """Return the checksum of each output by stage, as dvc.lock has it."""
    stages = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    return {name: {o["path"]: o["md5"] for o in e["outs"]} for name, e in stages.items()}


def edit(path: Path, change: Callable[[str], str]) -> None:
    """Change a file; the test fails where nothing changes."""
    before = path.read_text()
    assert change(before) != before
    path.write_text(change(before))


def set_param(folder: Path, key: str, value: Any) -> None:
    """Change one setting of params.yaml."""
    from tasks.params_file import override, read_yaml

    content = override(read_yaml(folder / "params.yaml"), {key: value})
    (folder / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
