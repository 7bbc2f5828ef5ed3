"""Prefect's server for one run: it ends with its flow, however that ends, and not by Ctrl-C.

The server that Prefect starts by itself is left behind by a kill, and Ctrl-C ends it before its
flow could tell it how things went.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.discreet import keep_discreet
from flows.gate import HOST, TOKEN, prefect
from tasks.paths import Paths
from tasks.scratch import die_with_parent

PATIENCE = 120.0  # seconds to start; a first start makes the database
END = 5.0  # seconds to stop


@contextmanager
def server(paths: Paths) -> Iterator[None]:
    """Let Prefect talk to a server of its own, unless it is told of another.

    Raises:
        RuntimeError: the server does not start; the message names its log.
    """
    from prefect.settings import PREFECT_API_URL, temporary_settings

    if PREFECT_API_URL.value():
        yield
        return
    log = paths.work / "logs" / "prefect.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    port = free_port()
    process = start(port, log)
    try:
        wait_for(process, port, log)
        with temporary_settings({PREFECT_API_URL: f"http://{HOST}:{port}/api"}):
            yield
    finally:
        process.terminate()
        try:
            process.wait(END)
        except subprocess.TimeoutExpired:
            process.kill()


def start(port: int, log: Path) -> subprocess.Popen[bytes]:
    """Start the server in a session of its own, which Ctrl-C does not reach."""
    quiet = {
        "PREFECT_UI_ENABLED": "0",
        "PREFECT__SERVER_EPHEMERAL": "1",
        "PREFECT__SERVER_FINAL": "1",
        TOKEN: "",  # that of the dashboards is not for runs
    }
    with log.open("wb") as file:
        return subprocess.Popen(
            command(port),
            env={**os.environ, **quiet},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )


def command(port: int, host: str = HOST) -> list[str]:
    """Return the command by which this process has a server."""
    return [sys.executable, "-m", "flows.server", str(port), host, str(os.getpid())]


def wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until the server answers."""
    ask = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
    until = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < until:
        try:
            with ask(f"http://{HOST}:{port}/api/health", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"Prefect's server did not start; {log} says why")


def free_port() -> int:
    """Return a port that nobody listens to."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def main(port: int, host: str, asker: int) -> None:
    """Serve until the process that asked for it ends, which may have been before this began."""
    die_with_parent(asker)
    keep_discreet()
    import uvicorn
    from prefect.logging.configuration import setup_logging

    setup_logging()

    uvicorn.run(
        prefect(host, port), host=host, port=port, log_level="error", timeout_graceful_shutdown=2
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
