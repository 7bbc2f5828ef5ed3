"""dvc.lock: DVC does not write it atomically, so a last good copy is kept and put back."""

from pathlib import Path
from typing import Any

import yaml

from tasks import plain_yaml
from tasks.artefacts import write_text
from tasks.paths import Paths

Entries = dict[str, dict[str, Any]]


def parse(text: str) -> Entries | None:
    """Return the entries by stage, None where the text is damaged or cut."""
    if not text.endswith("\n"):
        return None
    try:
        content = plain_yaml.parse(text)
    except plain_yaml.Refused:
        return None
    stages = content.get("stages") if isinstance(content, dict) and "schema" in content else None
    if not isinstance(stages, dict):
        return None
    if not all(isinstance(entry, dict) and "cmd" in entry for entry in stages.values()):
        return None
    return stages


def entries(paths: Paths) -> Entries:
    """Return what dvc.lock holds of each stage, nothing where there is no good one."""
    return parse(read(paths.root / "dvc.lock") or "") or {}


def keep(paths: Paths) -> None:
    """Keep a good copy of dvc.lock; call it only while nobody writes dvc.lock."""
    text = read(paths.root / "dvc.lock")
    if text and parse(text) is not None:
        write_text(paths.work / "dvc.lock", text)


def mend(paths: Paths, cut_off: bool) -> str | None:
    """Put the good copy back where dvc.lock is damaged; say so.

    Args:
        cut_off: the run before was killed. Then a dvc.lock that can be read may still have been
            cut between two stages, so entries that only the good copy has are added.
    """
    now, good = read(paths.root / "dvc.lock"), read(paths.work / "dvc.lock")
    present = parse(now) if now is not None else None
    saved = parse(good) if good else None
    if now is None and not (cut_off and good):
        return None
    if saved is None or good is None:
        return discard(paths) if present is None else None
    if present is None:
        write_text(paths.root / "dvc.lock", good)
        return "dvc.lock was damaged; its last good copy is back"
    lost = {name: entry for name, entry in saved.items() if name not in present}
    if cut_off and lost:
        content = {"schema": "2.0", "stages": {**present, **lost}}
        write_text(paths.root / "dvc.lock", yaml.safe_dump(content, sort_keys=False))
        return f"dvc.lock had lost {', '.join(lost)}; it is whole again"
    return None


def discard(paths: Paths) -> str:
    """Move a damaged dvc.lock aside, where there is no good copy; DVC's cache knows the rest."""
    target = paths.work / "dvc.lock.damaged"
    target.parent.mkdir(parents=True, exist_ok=True)
    (paths.root / "dvc.lock").replace(target)
    return f"dvc.lock was damaged and is now {target}; what is in DVC's cache is taken from there"


def read(path: Path) -> str | None:
    """Return a file's text, "" where it is no text, None where there is none."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        return ""
