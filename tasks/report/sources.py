"""The report's lineage: what the results stand on, each with the command that opens it."""

from collections.abc import Mapping
from typing import Any

from tasks import lineage

STORE = "MLFLOW_TRACKING_URI=sqlite:///mlflow.db"


def sources(facts: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return rows of `what`, `value` and `open` from the content of run.json."""
    rows = [
        commit(facts),
        data(facts["data"]),
        ("dvc.lock, sha256", facts["dvc_lock_sha256"], "dvc status"),
        mlflow(facts),
        prefect(facts),
    ]
    return [{"what": what, "value": value, "open": opened} for what, value, opened in rows]


def commit(facts: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the row of the commit."""
    found = facts["commit"]
    if found == lineage.UNKNOWN:
        return "git commit", "unknown: this is no git repository with a commit", "git status"
    state = {True: ", with changes not committed", False: ", clean", None: ""}[facts["dirty"]]
    return "git commit", found + state, f"git show --stat {found[:12]}"


def data(facts: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the row of the data."""
    what = f"data ({facts['title'] or facts['dataset']}), sha256"
    if facts["sha256"] == lineage.UNKNOWN:
        return what, "unknown", f"python -m tasks prepare {facts['dataset']}"
    return what, facts["sha256"], f"cat data/prepared/{facts['dataset']}/manifest.json"


def mlflow(facts: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the row of MLflow's run."""
    run = facts["mlflow_run"] or facts["mlflow_parent"]
    if not run:
        return "MLflow run", "not tracked", facts["command"]
    return "MLflow run", run, f"{STORE} mlflow runs describe --run-id {run}"


def prefect(facts: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the row of Prefect's run."""
    run = facts["prefect_run"]
    if not run:
        return "Prefect flow run", "not run by the flow", facts["command"]
    return "Prefect flow run", run, f"ebm dashboard, then /runs/flow-run/{run}"
