"""Prefect's server of a run ends with it, and is not started where there is one."""

import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from flows import server as servers
from flows.status import ask
from tasks.paths import Paths

START = "import sys, time; from pathlib import Path; from flows.server import start, free_port; "
START += "print(start(free_port(), Path('log')).pid, flush=True); time.sleep(100)"


def test_a_killed_flow_leaves_no_server(pipeline: Path) -> None:
    flow = subprocess.Popen([sys.executable, "-c", START], stdout=subprocess.PIPE, text=True)
    assert flow.stdout
    process = psutil.Process(int(flow.stdout.readline()))
    until = time.monotonic() + 60
    while process.num_threads() == 1:  # until it watches its parent
        assert time.monotonic() < until
        time.sleep(0.05)
    assert process.is_running()
    flow.kill()
    flow.wait()
    psutil.wait_procs([process], timeout=20)
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_server_whose_flow_was_killed_before_it_began_does_not_begin() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    command = [*servers.command(servers.free_port())[:-1], str(gone.pid)]
    assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL


def test_a_server_that_is_there_is_used(
    server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "start", lambda port, log: pytest.fail("a second server"))
    with servers.server(Paths(tmp_path)):
        pass


def test_no_page_but_its_own_may_ask_the_server(pipeline: Path) -> None:
    port, log = servers.free_port(), pipeline / "log"
    own, evil = f"http://127.0.0.1:{port}", "https://elsewhere.example"

    def sent(**told: str) -> int:
        """Return the answer to a POST."""
        asked = {"Content-Type": "application/json", **told}
        try:
            with urlopen(Request(f"{own}/api/flows/", b'{"name": "a"}', asked), timeout=20) as got:
                return got.status
        except HTTPError as error:
            return error.code

    def listens(origin: str | None) -> bool:
        """Tell whether the server opens a socket for a page."""
        with suppress(InvalidStatus):
            connect(f"ws://127.0.0.1:{port}/api/events/in", origin=origin, proxy=None).close()
            return True
        return False

    process = servers.start(port, log)
    try:
        servers.wait_for(process, port, log)
        assert sent(Origin=evil) == sent(Host="rebound.example") == 403
        assert ask(port, "flows/filter", {}) == []
        assert sent(Origin=own) == 201 and sent() == 200
        assert [listens(each) for each in (own, None, evil)] == [True, True, False]
    finally:
        process.terminate()
        process.wait(60)


def test_a_server_that_does_not_start_is_said_with_its_log(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    process.wait()
    with pytest.raises(RuntimeError, match=r"did not start; .*prefect\.log says why"):
        servers.wait_for(process, servers.free_port(), tmp_path / "prefect.log")
