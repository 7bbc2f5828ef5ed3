"""The tunnel of docs/security.md brings both pages through a server of ssh."""

import asyncio
import http.server
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import asyncssh
import pytest

from benchmarks.sandbox import wait
from flows.server import free_port
from tests.flows.reader import commands

PAGES = (5000, 4200)  # MLflow's and Prefect's
TRUSTING = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -F /dev/null"


class Anyone(asyncssh.SSHServer):
    """Lets anyone in, to any port."""

    def begin_auth(self, username: str) -> bool:
        return False

    def connection_requested(self, *where: object) -> bool:
        return True


@pytest.fixture
def there() -> Iterator[int]:
    """The port of a server of ssh on this machine."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()

    async def listen() -> asyncssh.SSHAcceptor:
        keys = [asyncssh.generate_private_key("ssh-ed25519")]
        return await asyncssh.listen("127.0.0.1", 0, server_factory=Anyone, server_host_keys=keys)

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(30)
    yield server.get_port()
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)


@contextmanager
def page(text: str) -> Iterator[int]:
    """Have a page on a port."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def fetch(port: int) -> str | None:
    """Return what is on a port, None where nothing is yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return None


@pytest.mark.skipif(not shutil.which("ssh"), reason="there is no ssh on this machine")
def test_both_pages_come_through(there: int) -> None:
    (command,) = [line for line in commands("docs/security.md") if line.startswith("ssh")]
    here = {port: free_port() for port in PAGES}
    with page("MLflow") as mlflow, page("Prefect") as prefect:
        for port, end in zip(PAGES, (mlflow, prefect), strict=True):
            asked = f"{port}:127.0.0.1:{port}"
            assert asked in command
            command = command.replace(asked, f"{here[port]}:127.0.0.1:{end}")
        command = command.replace("me@there", f"-p {there} {TRUSTING} me@127.0.0.1")
        process = subprocess.Popen(command.split(), stdin=subprocess.DEVNULL)
        try:
            assert wait(lambda: fetch(here[5000]), 30) == "MLflow"
            assert wait(lambda: fetch(here[4200]), 30) == "Prefect"
        finally:
            process.terminate()
            process.wait(30)
