"""The command line: what it prints, its exit status, and one sentence for an error."""

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.cli import app

ROOT = Path(__file__).parents[2]
NAME = "multigrid-digits-joint"
COMMANDS = (
    "list",
    "show",
    "why",
    "run",
    "keep",
    "results",
    "report",
    "dashboard",
    "adopt",
    "clean",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project's folder with the real settings and no results, and go there."""
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EBM_DEBUG", raising=False)
    return tmp_path


def call(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    result = call(name, "--help")
    assert result.exit_code == 0
    assert f"ebm {name}" in result.stdout


def test_help_and_list_import_nothing_heavy() -> None:
    """They answer in well under two seconds because they import none of these."""
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from flows.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "assert CliRunner().invoke(app, ['list']).exit_code == 0\n"
        "heavy = {'torch', 'pandas', 'mlflow', 'prefect', 'dvc', 'numpy', 'pydantic'}\n"
        "print(sorted(heavy & sys.modules.keys()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_list_prints_json(folder: Path) -> None:
    rows = json.loads(call("list", "--json").stdout)
    assert {row["name"] for row in rows} >= {NAME}
    assert NAME in call("list").stdout


def test_commands_work_in_a_folder_of_the_project(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "docs").mkdir()
    monkeypatch.chdir(folder / "docs")
    assert call("list").exit_code == 0
    assert Path.cwd() == folder / "docs"


def test_results_go_to_a_csv_file_in_the_callers_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = folder / "results" / NAME
    place.mkdir(parents=True)
    (place / "metrics.json").write_text('{"metrics": [{"metric": "m", "value": 1.5}]}')
    monkeypatch.chdir(place)
    result = call("results", NAME, "--json", "--csv", "mine.csv")
    assert json.loads(result.stdout)[0]["value"] == 1.5
    assert (place / "mine.csv").read_text().splitlines()[0].startswith("experiment,system,metric")
    assert "1.5" in call("results").stdout


@pytest.mark.parametrize("name", ["show", "why", "run", "results", "report"])
def test_an_unknown_experiment_is_one_sentence_and_a_status(folder: Path, name: str) -> None:
    result = call(name, "multigrid-digits-join")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert f"did you mean {NAME}?" in result.stderr
    assert list(folder.glob("results/*")) == []


def test_an_error_has_its_trace_when_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EBM_DEBUG", "1")
    assert isinstance(call("results", "none").exception, ValueError)


def test_outside_a_project_it_says_where_to_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call("list")
    assert result.exit_code == 1
    assert "no params.yaml" in result.stderr


@pytest.mark.parametrize("change", ["train.joint.fit.updates=none", "seed", "train.joint.fit.up=3"])
def test_a_wrong_change_is_refused_before_work_starts(folder: Path, change: str) -> None:
    before = (folder / "params.yaml").read_bytes()
    result = call("run", NAME, "--set", change)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert (folder / "params.yaml").read_bytes() == before
    assert not (folder / ".work" / "overrides.json").exists()


def test_a_database_that_is_damaged_stops_a_run_before_work_starts(folder: Path) -> None:
    (folder / "mlflow.db").write_bytes(b"damaged" * 1000)
    result = call("run", NAME)
    assert result.exit_code == 1
    assert "mlflow.db" in result.stderr
    assert not (folder / "data").exists()


def test_a_port_in_use_is_one_sentence(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = call("dashboard", "--port-mlflow", str(port))
    assert result.exit_code == 1
    assert f"port {port} is in use" in result.stderr
    assert not (folder / ".work").exists()


def test_keep_without_a_change_says_so(folder: Path) -> None:
    result = call("keep")
    assert result.exit_code == 1
    assert "nothing to keep" in result.stderr


def test_clean_says_what_it_freed(folder: Path) -> None:
    assert "nothing to remove" in call("clean").stdout
    log = folder / ".work" / "logs" / NAME / "sample.log"
    log.parent.mkdir(parents=True)
    log.write_text("x" * 1500)
    assert call("clean", NAME).stdout == "logs: 1.5 kB freed\n"
    assert not log.exists()


def test_clean_of_an_unknown_name_is_one_sentence_and_a_status(folder: Path) -> None:
    result = call("clean", "multigrid-digits-join")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert f"did you mean {NAME}?" in result.stderr
    assert "nothing to remove" in call("clean", "digits").stdout


def test_python_m_flows_is_the_same_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flows", "results", "none"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("ebm: there is no experiment")
