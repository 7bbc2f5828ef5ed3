"""The Prefect flow of a schedule: one run of an experiment, as `ebm run NAME` does it.

The run is a process of its own that ends with this one. The state says what became of it: Ran,
UpToDate, Skipped (another run held the project), Failed, or Stopped; a run that was skipped or
found nothing to do has not failed.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed

from flows import history
from tasks.paths import Paths
from tasks.refusals import named
from tasks.scratch import die_with_parent

LOUD = ("PREFECT_LOGGING_LEVEL", "PREFECT_LOGGING_TO_API_ENABLED")  # of this flow, not of the run


@flow(name="scheduled", flow_run_name="{name}")
def scheduled(name: str) -> Any:
    """Run an experiment in the current folder, the project's."""
    named(name)  # it becomes a folder, and a word of a command
    die_with_parent()
    paths, mark = Paths(), str(flow_run.id)
    log = paths.work / "logs" / name / "scheduled.log"
    status = run(name, mark, log)
    state, text = ended(paths, name, mark, status, log)
    get_run_logger().info("%s: %s; %s", state, text, log.resolve())
    kind: Any = {"Failed": Failed, "Stopped": Cancelled}.get(state, Completed)
    return kind(name=state, message=text)


def run(name: str, mark: str, log: Path) -> int:
    """Run `ebm run NAME` to its end; return its exit status."""
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {key: value for key, value in os.environ.items() if key not in LOUD}
    with log.open("wb") as file:
        return subprocess.run(
            [sys.executable, "-m", "flows.unattended", name],
            env={**environment, "EBM_FLOW_RUN": mark},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches it through who serves the schedule
            check=False,
        ).returncode


def ended(paths: Paths, name: str, mark: str, status: int, log: Path) -> tuple[str, str]:
    """Return the state and the sentence of a run that has ended, as it has noted them itself."""
    noted = [each for each in history.runs(paths) if each["flow_run"] == mark]
    if noted and noted[-1]["state"] not in ("Running", "Killed"):
        return noted[-1]["state"], noted[-1]["text"]
    if status < 0 or noted:
        return "Failed", "it was killed; the next run goes on where it was"
    lines = log.read_text(errors="replace").strip().splitlines()  # it was refused at once
    refused = history.Entry([name], f"ebm run {name}", mark)
    refused.end("Failed", lines[-1] if lines else f"it ended with status {status}")
    history.write(paths, refused)
    return refused.state, refused.text
