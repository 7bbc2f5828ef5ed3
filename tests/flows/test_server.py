"""Prefect's server of a run ends with it, and is not started where there is one."""

import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest

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


def test_a_server_that_is_there_is_used(
    server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "start", lambda port, log: pytest.fail("a second server"))
    with servers.server(Paths(tmp_path)):
        pass


def test_no_page_but_its_own_may_ask_the_server(pipeline: Path) -> None:
    port, log = servers.free_port(), pipeline / "log"
    own = f"http://127.0.0.1:{port}"

    def allowed(origin: str) -> str | None:
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        request = Request(f"{own}/api/flow_runs/filter", headers=asked, method="OPTIONS")
        try:
            with urlopen(request, timeout=20) as answer:
                return answer.headers["access-control-allow-origin"]
        except HTTPError as error:
            return error.headers["access-control-allow-origin"]

    def sent() -> int:
        """A POST that a browser sends for any page without asking before: it names no type."""
        asked = {"Origin": "https://elsewhere.example", "Content-Type": ""}
        request = Request(f"{own}/api/flows/", b'{"name": "theirs"}', asked)
        try:
            with urlopen(request, timeout=20) as answer:
                return answer.status
        except HTTPError as error:
            return error.code

    process = servers.start(port, log)
    try:
        servers.wait_for(process, port, log)
        assert allowed(own) == own and allowed("https://elsewhere.example") is None
        assert sent() == 403 and ask(port, "flows/filter", {}) == []
    finally:
        process.terminate()
        process.wait(60)


def test_a_server_that_does_not_start_is_said_with_its_log(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    process.wait()
    with pytest.raises(RuntimeError, match=r"did not start; .*prefect\.log says why"):
        servers.wait_for(process, servers.free_port(), tmp_path / "prefect.log")
