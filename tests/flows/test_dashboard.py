"""The pages start on free ports of the loopback address, and end with the command."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.dashboard import Page, mlflow_page, pages, serve
from flows.gate import HOST


@pytest.fixture
def taken() -> Iterator[int]:
    """Return a port that is in use."""
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        yield other.getsockname()[1]


def free() -> int:
    with socket.socket() as trial:
        trial.bind((HOST, 0))
        return trial.getsockname()[1]


def test_a_port_in_use_is_refused_before_anything_starts(tmp_path: Path, taken: int) -> None:
    with pytest.raises(ValueError, match=f"port {taken} .* --port-prefect"):
        pages(tmp_path, free(), taken)
    with pytest.raises(ValueError, match=f"port {taken} .* --port-mlflow"):
        pages(tmp_path, taken, free())
    assert list(tmp_path.iterdir()) == []


def test_one_port_for_both_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="both"):
        pages(tmp_path, 5000, 5000)


def test_the_pages_stay_on_the_loopback_address_and_ask_nobody_else(tmp_path: Path) -> None:
    mlflow, prefect = pages(tmp_path, *ports())
    for page in (mlflow, prefect):
        assert "127.0.0.1" in page.command
        assert page.address.startswith(f"http://127.0.0.1:{page.port}/")
    assert mlflow.address.endswith("/#/experiments")
    assert mlflow.environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert f"sqlite:///{tmp_path.resolve()}/mlflow.db" in mlflow.command
    api = f"http://127.0.0.1:{prefect.port}/api"
    assert prefect.environment["PREFECT_API_URL"] == api
    assert prefect.environment["PREFECT_UI_API_URL"] == api
    assert prefect.environment["PREFECT_SERVER_UI_V2_ENABLED"] == "false"


def ports() -> tuple[int, int]:
    first = free()
    second = free()
    while second == first:
        second = free()
    return first, second


def stand_in(title: str, port: int, folder: Path) -> Page:
    """A server with a child of its own; both note their ids."""
    code = (
        "import os, socket, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(folder / title)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        f"s = socket.socket(); s.bind(('127.0.0.1', {port})); s.listen(); time.sleep(60)\n"
    )
    return Page(title, HOST, port, [sys.executable, "-c", code], {}, f"http://127.0.0.1:{port}/")


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1]
    except OSError:
        return True
    return state.startswith("Z")


def gone_soon(pid: int) -> bool:
    """Tell whether a process ends within some seconds: signals take their time when all is busy."""
    until = time.monotonic() + 10
    while not gone(pid) and time.monotonic() < until:
        time.sleep(0.1)
    return gone(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ctrl_c_ends_every_process_that_was_started_and_no_other(tmp_path: Path) -> None:
    first, second = ports()
    said: list[str] = []
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])

    def press() -> None:
        while "Ctrl-C ends both." not in said:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    # A shell that runs the tests in the background has them ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=press, daemon=True).start()
    try:
        serve(
            [stand_in("A", first, tmp_path), stand_in("B", second, tmp_path)], tmp_path, said.append
        )
        assert f"A: http://127.0.0.1:{first}/" in said
        for title in "AB":
            for pid in (tmp_path / title).read_text().split():
                assert gone_soon(int(pid)), f"process {pid} of {title} lives on"
        assert bystander.poll() is None
    finally:
        signal.signal(signal.SIGINT, before)
        bystander.kill()
        bystander.wait()


def test_a_page_that_ends_by_itself_ends_the_other_and_says_where_to_look(tmp_path: Path) -> None:
    first, second = ports()
    broken = Page("B", HOST, second, [sys.executable, "-c", "raise SystemExit(3)"], {}, "")
    with pytest.raises(RuntimeError, match=r"B ended by itself \(status 3\); see .*b\.log"):
        serve([stand_in("A", first, tmp_path), broken], tmp_path, lambda text: None)
    if (tmp_path / "A").exists():
        assert all(gone_soon(int(pid)) for pid in (tmp_path / "A").read_text().split())


def test_mlflows_page_opens_at_the_runs_once_there_are_any(tmp_path: Path) -> None:
    assert mlflow_page(tmp_path, 5000).address.endswith("/#/experiments")
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("CREATE TABLE experiment_tags (key, value, experiment_id)")
    assert mlflow_page(tmp_path, 5000).address.endswith("/#/experiments")
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("INSERT INTO experiment_tags VALUES ('mlflow.sharedViewState.ebm', '', 7)")
    assert "/#/experiments/7/runs?" in mlflow_page(tmp_path, 5000).address
