"""The regime of an experiment's model: converging, synthesising, saturated, diverging.

They are defined in ebm/apply/long_chains.py, which judges a model that there is. A training stage
that broke for good leaves none: that run is diverging. Read with json alone, so that lists are
quick.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tasks.paths import Paths


def regime(paths: Paths, name: str, parts: Iterable[str]) -> dict[str, str] | None:
    """Return `name` and `evidence` of the regime, None where no long chains were run.

    Args:
        parts: the experiment's training stages.
    """
    for part in parts:
        broken = paths.work / "broken" / name / part / "facts.json"
        if not (paths.model(name, part) / "model.json").exists() and broken.exists():
            return {"name": "diverging", "evidence": str(read(broken).get("message"))}
    found = read(paths.results(name) / "apply.json").get("regime")
    return {"name": "", "evidence": "", **found} if isinstance(found, dict) else None


def read(path: Path) -> dict[str, Any]:
    """Return a JSON object, empty where the file is missing or damaged."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
