"""A worker of a process pool carries out a deployed run, by the commands of docs/schedule.md."""

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.environment import variables
from flows.server import free_port, start, wait_for
from flows.status import ask
from tests.flows.conftest import GRID, ROOT, only_trained
from tests.flows.reader import Reader, commands

DEPLOYED = f"nightly-{GRID}"
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The port of a Prefect server with a database of its own."""
    free, log = free_port(), tmp_path / "server.log"
    with variables({"PREFECT_HOME": str(tmp_path / "prefect")}):
        process = start(free, log)
    try:
        wait_for(process, free, log)
        yield free
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_worker_finds_a_deployed_run_up_to_date(trained: Path, tmp_path: Path, port: int) -> None:
    only_trained(GRID)
    shutil.copy(ROOT / "prefect.yaml", trained)
    reader = Reader(tmp_path)
    reader.env |= {
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_HOME": str(tmp_path / "prefect"),
    }
    pool, deploy, worker = [c for c in commands("docs/schedule.md") if c.startswith("prefect")]
    reader.follow(pool)
    reader.follow(deploy)
    said = reader.follow(f"prefect deployment run scheduled/{DEPLOYED}")
    (mark,) = set(re.findall(r"[0-9a-f-]{36}", said))

    def state() -> Any:
        """Return the run's state, None where it has not ended."""
        (run,) = ask(port, "flow_runs/filter", {"flow_runs": {"id": {"any_": [mark]}}})
        return run["state"] if run["state_type"] in ENDED else None

    with reader.leave(worker, r"Worker .* started"):
        until = time.monotonic() + 300
        while (found := state()) is None:
            assert time.monotonic() < until, (reader.home / "said").read_text()
            time.sleep(1)
    assert (found["type"], found["name"]) == ("COMPLETED", "UpToDate"), found
    assert "nothing changed" in found["message"]
    assert f"{GRID}: UpToDate" in reader.follow("ebm status")
