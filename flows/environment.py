"""The environment of a flow: set before prefect, dvc or mlflow are imported."""

import os
import sys
from pathlib import Path

QUIET = {
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",  # 20 are too few where it is busy
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_INTERNAL_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


def prepare_environment(root: Path = Path(".")) -> None:
    """Set what the tools read when they are imported; what is set already stays.

    The folder of this python comes first on PATH, so that `python -m tasks` of each stage is this
    environment's, from any shell.

    Args:
        root: the project's folder; Prefect keeps its database there, in .prefect.
    """
    for name, value in {"PREFECT_HOME": str(root.resolve() / ".prefect"), **QUIET}.items():
        os.environ.setdefault(name, value)
    own = str(Path(sys.executable).parent)
    others = [p for p in os.environ.get("PATH", os.defpath).split(os.pathsep) if p != own]
    os.environ["PATH"] = os.pathsep.join([own, *others])
