"""A scheduled run that fails is told to an address, which Prefect keeps as a secret."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue

import pytest

from flows import dashboard
from flows.notices import notify
from flows.server import free_port, wait_for
from flows.serving import server_page
from flows.status import ask
from tasks.paths import Paths
from tests.flows.conftest import JOINT

SECRET = "hooks/known-to-nobody"
FAIL = f"from flows.scheduled import scheduled; scheduled({JOINT!r}, return_state=True)"


@pytest.fixture
def heard(request: pytest.FixtureRequest) -> Iterator[tuple[str, "Queue[bytes]"]]:
    """The address of a listener of this machine, which answers so, and what was posted to it."""
    posts: Queue[bytes] = Queue()

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posts.put(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(request.param)
            self.end_headers()

        def log_message(self, *words: object) -> None: ...

    listener = HTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.server_port}/{SECRET}", posts
    listener.shutdown()
    thread.join()
    listener.server_close()


def holds_secret(file: Path) -> bool:
    """Whether a file has the secret part of the address in it."""
    return SECRET.encode() in file.read_bytes()


def test_where_no_server_is_known_it_is_said_how_to_have_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(RuntimeError, match=r"ebm serve first.* PREFECT_API_URL"):
        notify(Paths(tmp_path), "https://chat.example.org/hooks/mine")
    with pytest.raises(ValueError, match="chat is no address; write https"):
        notify(Paths(tmp_path), "chat")


@pytest.mark.slow
@pytest.mark.parametrize(("heard", "tries"), [(200, 1), (404, 4)], indirect=["heard"])
def test_a_run_that_fails_is_told_and_the_address_stays_a_secret(
    heard: tuple[str, "Queue[bytes]"], tries: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, posts = heard
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("datasets: {}\nexperiments: {}\n")  # so there is none to run
    port = free_port()
    server = dashboard.start(server_page(Paths(), port), Path("logs"))
    try:
        wait_for(server, port, Path("logs/prefect.log"))
        api = {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
        told = {**os.environ, **api, "PREFECT_HOME": str(tmp_path / ".prefect")}
        command = [sys.executable, "-m", "flows", "notify", address]
        done = subprocess.run(command, env=told, check=True, capture_output=True, text=True)
        assert done.stdout.strip().endswith(f"by Prefect at {api['PREFECT_API_URL']}.")
        subprocess.run([sys.executable, "-c", FAIL], env=told, check=True)
        *_, post = [posts.get(timeout=120) for _ in range(tries)]
        text = json.loads(post)["text"]
        assert text.startswith(f"{JOINT} Failed: ") and "no experiment" in text
        for what in ("block_documents/filter", "automations/filter"):
            answer = ask(port, what, {})
            assert answer and SECRET not in json.dumps(answer)
    finally:
        dashboard.end([server])
    log = Path("logs/prefect.log").read_text()
    assert ("'404 Not Found' for url 'https://***" in log) == (tries > 1), log
    kept = [*Path(".prefect").rglob("*"), *Path("logs").iterdir()]
    assert [file.name for file in kept if file.is_file() and holds_secret(file)] == []
    assert Path(".prefect/prefect.db") in kept
