"""Servers are for this machine alone, and secrets of the environment are written nowhere."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from flows import dashboard, gate
from flows.cli import app
from tasks import settings
from tasks.__main__ import main
from tasks.paths import Paths
from tasks.report.run import run_facts
from tasks.tracking import Tracker

ROOT = Path(__file__).parents[1]
FILES = sorted(path for package in ("flows", "tasks") for path in (ROOT / package).rglob("*.py"))
EVERYWHERE = ("0.0.0.0", "::")

SECRET = "wJalrXUtnFEMI-not-to-be-told"
SECRETS = {
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_SESSION_TOKEN": SECRET,
    "MLFLOW_TRACKING_PASSWORD": SECRET,
    "PREFECT_API_KEY": SECRET,
    "HF_TOKEN": SECRET,
    "PIP_INDEX_URL": f"https://me:{SECRET}@packages.invalid/simple",
}


def test_servers_listen_to_this_machine_alone() -> None:
    assert gate.HOST == "127.0.0.1"
    for page in (dashboard.mlflow_page(ROOT, 1), dashboard.prefect_page(ROOT, 2)):
        assert page.host == "127.0.0.1" and page.command.count(page.host) == 1
        assert page.environment.get("PREFECT_API_URL", "http://127.0.0.1").startswith(
            "http://127.0.0.1"
        )


def test_one_command_lets_them_listen_elsewhere_with_a_warning_and_a_token(
    monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    group = typer.main.get_command(app)
    able = []
    for command in group.commands.values():  # type: ignore[attr-defined]
        options = {name for each in command.params for name in each.opts}
        able += [command.name] if options & {"--host", "--bind", "--listen"} else []
    assert able == ["dashboard"]
    shown: list[dashboard.Page] = []
    monkeypatch.setattr(dashboard, "serve", lambda pages, *rest: shown.extend(pages))
    monkeypatch.setattr(dashboard, "check_port", lambda *rest: None)
    monkeypatch.chdir(project)
    said = CliRunner().invoke(app, ["dashboard", "--host", "192.0.2.7"])
    assert said.exit_code == 0, said.output
    token = said.output.split("token: ")[1].split()[0]
    assert said.output.startswith("Warning: whoever reaches 192.0.2.7")
    assert [page.environment[gate.TOKEN] for page in shown] == [token, token]


def test_no_line_binds_to_another_address() -> None:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            place = f"{path.name}, line {getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Constant):
                assert node.value not in EVERYWHERE, place
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "bind":
                known = ("(HOST,", "('127.0.0.1',", "(host,")  # the last: as --host says
                assert ast.unparse(node.args[0]).startswith(known), place


class Recorder:
    """Takes whatever is told to MLflow."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def __call__(self, root: Path) -> "Recorder":
        return self

    def __getattr__(self, name: str) -> Any:
        def tell(*words: Any, **more: Any) -> str:
            self.told.append((name, words, more))
            return "run-1"

        return tell


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    yield


def leaks(folder: Path) -> list[str]:
    """Return the files that hold the secret."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [str(path) for path in files if SECRET.encode() in path.read_bytes()]


def test_secrets_are_in_no_record_tag_log_or_report(
    project: Path,
    secrets: None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setenv("EBM_DEBUG", "1")  # with the trace of an error, too
    paths, store, said = Paths(), Recorder(), list[str]()
    params = settings.read(paths.params)
    with Tracker(paths, params, "a flow", "ebm run tiny", said.append, store) as tracker:
        tracker.stage_started("prepare@digits", "prepare", "digits", None)
        assert main(["prepare", "digits"]) == 0
        tracker.stage_ended("prepare@digits", "Ran")
        tracker.stage_started("train@tiny-joint", "train", "tiny", "joint")
        assert main(["prepare", "nothing"]) == 1
        tracker.stage_ended("train@tiny-joint", "Failed")
    facts = run_facts("tiny", params, paths, {"command": "ebm run tiny"})
    printed = capfd.readouterr()
    assert store.told, "nothing was tracked"
    assert any(name == "open_run" for name, *_ in store.told)
    assert "Traceback" in printed.err
    everything = [repr(store.told), json.dumps(facts), *said, printed.out, printed.err]
    assert not [text for text in everything if SECRET in text]
    assert not leaks(project)


def test_doctor_tells_no_secret(secrets: None, project: Path) -> None:
    from flows.doctor import checks

    assert not [each for each in checks(Paths(project)) if SECRET in repr(each)]


def test_a_carrier_that_pip_does_not_get_is_told_without_the_password(
    secrets: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ebm.datasets import vgg16
    from ebm.datasets.download import pip_download

    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_CONFIG_FILE"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://me:{SECRET}@127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_PROXY", "")
    with pytest.raises(ValueError, match="pip could not fetch") as caught:
        pip_download(vgg16.SOURCE, tmp_path)
    assert SECRET not in str(caught.value)
