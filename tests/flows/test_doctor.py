"""The doctor says what is wrong, and mends what can be mended."""

import inspect
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from flows import cli_on_schedule, cli_results, doctor
from flows.dashboard import PORTS
from tasks.paths import Paths

ROOT = Path(__file__).parents[2]


def test_this_environment_is_as_the_lock_has_it() -> None:
    assert doctor.packages(ROOT / "requirements.lock").state == "ok"


def test_a_package_of_another_version_is_named_with_what_it_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("sqlalchemy==1.0.0\nnot-there==2.0\n")
    found = doctor.packages(lock)
    assert found.state == "wrong" and "not-there missing for 2.0" in found.found
    assert "Prefect's schedules make no runs" in found.remedy
    calls: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: calls.append(command))
    assert found.fix is not None
    found.fix()
    assert calls[0][-2:] == ["sqlalchemy==1.0.0", "not-there==2.0"] and "--no-deps" in calls[0]


def test_a_damaged_database_is_moved_aside(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    assert doctor.database(file).found == "none yet"
    with sqlite3.connect(file) as connection:
        connection.execute("create table t (x)")
    assert doctor.database(file).state == "ok"
    file.write_bytes(b"no database at all" * 100)
    found = doctor.database(file)
    assert found.state == "wrong" and found.fix is not None
    found.fix()
    assert not file.exists() and len(list(tmp_path.glob("mlflow.db.damaged-*"))) == 1


def test_a_database_that_is_held_is_left_where_it_is(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    with sqlite3.connect(file) as connection:
        connection.execute("create table t (x)")
        connection.execute("begin exclusive")
        found = doctor.database(file)
    assert (found.state, found.fix) == ("warning", None) and "end the program" in found.remedy


def test_what_needs_a_package_that_is_missing_says_so() -> None:
    def look() -> doctor.Check:
        raise ImportError("No module named 'yaml'")

    found = doctor.looked("dvc.lock", look)
    assert found.state == "wrong" and "yaml" in found.found and found.remedy == "run make install"


@pytest.mark.parametrize(
    ("check", "state", "words"),
    [
        (doctor.python_version((3, 12)), "wrong", "install Python 3.11"),
        (doctor.python_version((3, 11)), "ok", ""),
        (doctor.disk(1.2), "warning", "ebm clean"),
        (doctor.disk(50.0), "ok", ""),
        (doctor.data(None), "ok", ""),
        (doctor.data("/no/such/folder"), "wrong", "or unset it"),
        (doctor.repository(ROOT), "ok", ""),
        (doctor.repository(Path("/dev/shm")), "wrong", "clone the project"),
    ],
)
def test_each_look_says_what_to_do(check: doctor.Check, state: str, words: str) -> None:
    assert check.state == state and words in check.remedy


def test_a_cut_lock_is_noticed(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    assert doctor.lock(paths).found == "none yet"
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\nstages:\n  a:\n    cmd: x\n    de")
    assert doctor.lock(paths).state == "warning"


def test_loopback_and_torch_are_there() -> None:
    assert doctor.ports({}).state == doctor.torch_build().state == doctor.vision().state == "ok"


def test_the_ports_looked_at_are_those_of_the_commands() -> None:
    for command in (cli_results.dashboard, cli_on_schedule.serve):
        asked = inspect.signature(command).parameters
        own = {name: one.default for name, one in asked.items() if name.startswith("port_")}
        assert own and all(PORTS[f"--{name.replace('_', '-')}"] == own[name] for name in own)


def test_ports_that_are_taken_are_named() -> None:
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
            each.listen()
        first, second = (each.getsockname()[1] for each in (one, other))
        pages = {"--port-mlflow": first, "--port-prefect": second}
        check = doctor.ports(pages)
        assert check.state == "warning"
        assert check.found == f"port {first} is in use, port {second} is in use"
        assert "--port-mlflow N --port-prefect N" in check.remedy
        shown = f"http://127.0.0.1:{second}/"  # by ebm serve, which may
        assert doctor.ports({"--port-prefect": second}, shown).state == "ok"
    assert doctor.ports(pages).state == "ok"


def test_a_look_that_breaks_of_what_it_should_find_says_so() -> None:
    def look() -> doctor.Check:
        raise ValueError("serve.json is not JSON")

    found = doctor.looked("ports", look)
    assert (found.state, found.fix) == ("wrong", None) and "serve.json is not JSON" in found.found


SPILL = """
import os, signal, sqlite3, sys
c = sqlite3.connect(sys.argv[1])
c.execute("pragma cache_size=2")
c.execute("create table t (x)")
c.commit()
c.execute("begin")
c.executemany("insert into t values (?)", [("x" * 2000,)] * 200)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_kill_left_half_done_in_the_database_is_taken_back(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    subprocess.run([sys.executable, "-c", SPILL, str(file)], check=False)
    assert (tmp_path / "mlflow.db-journal").exists()
    assert doctor.database(file).state == "ok"
    assert not (tmp_path / "mlflow.db-journal").exists()
    with sqlite3.connect(file) as connection:
        assert connection.execute("select count(*) from t").fetchone() == (0,)


def test_a_damaged_database_takes_its_journals_with_it(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    file.write_bytes(b"no database at all" * 100)
    (tmp_path / "mlflow.db-wal").write_bytes(b"")
    found = doctor.database(file)
    assert found.fix is not None
    found.fix()
    assert {each.name.rpartition("-")[2] for each in tmp_path.iterdir()} >= {"wal"}
    assert not (tmp_path / "mlflow.db-wal").exists()
