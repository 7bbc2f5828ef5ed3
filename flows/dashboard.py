"""MLflow's page and Prefect's, on the loopback address unless told otherwise, until Ctrl-C."""

import ctypes
import errno
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from flows import server
from flows.gate import HOST, TOKEN, homes
from tasks.mlflow_store import VIEW

PATIENCE = 180.0  # seconds until a page must answer
GRACE = 10.0  # seconds a page has to end by itself

PORTS = {"--port-mlflow": 5000, "--port-prefect": 4200}  # unless a person chooses others


class Page(NamedTuple):
    """One server: what it is called, how it is started, where it is looked at."""

    title: str
    host: str
    port: int
    command: list[str]
    environment: dict[str, str]
    address: str


def pages(
    root: Path, mlflow: int, prefect: int | None, host: str = HOST, token: str = ""
) -> list[Page]:
    """Return the pages of a project: MLflow's, and Prefect's unless it is shown already.

    Args:
        root: the project's folder.
        mlflow: the port of MLflow's page.
        prefect: the port of Prefect's, None where `ebm serve` shows it.
        host: the address or name of this machine where they listen.
        token: what they ask for, nothing if empty.

    Raises:
        ValueError: a port is in use, or both are the same.
    """
    if mlflow == prefect:
        raise ValueError(f"both pages are given port {mlflow}; give them different ones")
    check_port(mlflow, "--port-mlflow", host)
    shown = [mlflow_page(root.resolve(), mlflow, host, token)]
    if prefect is not None:
        check_port(prefect, "--port-prefect", host)
        shown.append(prefect_page(root.resolve(), prefect, host, token))
    return shown


def check_port(port: int, option: str, host: str = HOST) -> None:
    """See that a port is free at an address of this machine.

    Raises:
        ValueError: it is in use, or the address is not this machine's.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except socket.gaierror as error:
            raise ValueError(f"--host {host}: no such name is known ({error.strerror})") from None
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise ValueError(f"--host {host}: it is no address of this machine") from None
            raise ValueError(
                f"port {port} is in use or not allowed ({error.strerror}); "
                f"choose another with {option}"
            ) from None


def mlflow_page(root: Path, port: int, host: str = HOST, token: str = "") -> Page:
    """Return MLflow's page over <root>/mlflow.db."""
    command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{root / 'mlflow.db'}"]
    command += ["--default-artifact-root", (root / "mlruns").as_uri(), "--workers", "1"]
    environment = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # else 7 more processes, 400 MB
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    if token:
        known = ",".join(sorted(homes(host, port)))
        command += ["--app-name", "ebm-token", "--allowed-hosts", known]
        command += ["--cors-allowed-origins", f"http://{host}:{port}"]
        environment[TOKEN] = token
    address = f"http://{host}:{port}/#/{runs(root)}"
    return Page("MLflow", host, port, command, environment, address)


def runs(root: Path) -> str:
    """Return where MLflow's page shows the runs with the right columns; its start before any."""
    try:
        with closing(sqlite3.connect(f"{(root / 'mlflow.db').as_uri()}?mode=ro", uri=True)) as file:
            query = "SELECT experiment_id FROM experiment_tags WHERE key = ?"
            found = file.execute(query, [f"mlflow.sharedViewState.{VIEW}"]).fetchone()
    except sqlite3.Error:
        return "experiments"
    if not found:
        return "experiments"
    return f"experiments/{found[0]}/runs?workflowType=machine_learning&viewStateShareKey={VIEW}"


def prefect_page(root: Path, port: int, host: str = HOST, token: str = "") -> Page:
    """Return Prefect's page over <root>/.prefect."""
    address = f"http://{host}:{port}/api"
    environment = {
        "PREFECT__SERVER_FINAL": "1",
        "PREFECT_HOME": str(root / ".prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_API_URL": address,
        "PREFECT_UI_API_URL": address,  # else the page asks port 4200
        "PREFECT_SERVER_UI_V2_ENABLED": "false",  # its newer page asks a host of advertisers
    }
    environment[TOKEN] = token
    return Page(
        "Prefect", host, port, server.command(port, host), environment, f"http://{host}:{port}/"
    )


def serve(shown: Sequence[Page], logs: Path, say: Callable[[str], None] = print) -> None:
    """Run the pages until Ctrl-C or until one of them ends; end what was started.

    Args:
        logs: folder for what the servers print.

    Raises:
        RuntimeError: a page ended by itself, or did not answer in time.
    """
    before = signal.signal(signal.SIGTERM, interrupt)
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for page in shown:
            running[page.title] = start(page, logs)
            say(f"{page.title} is starting (up to a minute)")
        for page in shown:
            wait_until_open(page, running, logs)
            say(f"{page.title}: {page.address}")
        say("Ctrl-C ends both." if len(shown) > 1 else "Ctrl-C ends it.")
        while True:
            look(running, logs)
            time.sleep(0.5)
    except KeyboardInterrupt:
        say("Ending both pages." if len(shown) > 1 else "Ending the page.")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave one behind
        end(running.values())
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, before)


def interrupt(number: int, frame: FrameType | None) -> None:
    """End as Ctrl-C does."""
    raise KeyboardInterrupt


def start(page: Page, logs: Path) -> "subprocess.Popen[bytes]":
    """Start a page in a session of its own, so that all its processes can be ended."""
    logs.mkdir(parents=True, exist_ok=True)
    environment: Mapping[str, str] = {**os.environ, **page.environment}
    with (logs / f"{page.title.lower()}.log").open("wb") as log:
        return subprocess.Popen(
            page.command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # no thread runs yet, so nothing can be locked in the copy of this process
            preexec_fn=end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
        )


def end_with_parent() -> None:
    """Have the kernel end this process if the one that started it is killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def wait_until_open(
    page: Page, running: Mapping[str, "subprocess.Popen[bytes]"], logs: Path
) -> None:
    """Wait until a page takes connections."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        look(running, logs)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
            trial.settimeout(1)
            if trial.connect_ex((page.host, page.port)) == 0:
                return
        time.sleep(0.3)
    raise RuntimeError(f"{page.title} did not answer within {PATIENCE:.0f} s; see {logs}")


def look(running: Mapping[str, "subprocess.Popen[bytes]"], logs: Path) -> None:
    """See that each page still runs."""
    for title, process in running.items():
        if process.poll() is not None:
            log = logs / f"{title.lower()}.log"
            raise RuntimeError(f"{title} ended by itself (status {process.returncode}); see {log}")


def end(running: "Iterable[subprocess.Popen[bytes]]") -> None:
    """End the pages and every process that they started."""
    processes = list(running)
    for number, patience in ((signal.SIGINT, GRACE), (signal.SIGTERM, GRACE), (signal.SIGKILL, 5)):
        for process in processes:
            try:
                os.killpg(process.pid, number)  # its session's group bears its id
            except ProcessLookupError:
                continue
        until = time.monotonic() + patience
        for process in processes:
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                continue
