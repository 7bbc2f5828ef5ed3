"""Which code, data and lock file a result stands on."""

import subprocess
from pathlib import Path

from ebm.checksum import sha256, together
from tasks.artefacts import read_json
from tasks.paths import Paths

WRITTEN = (":!results", ":!dvc.lock")  # what the pipeline itself writes into git's tree
UNKNOWN = "unknown"


def git(root: Path, *arguments: str) -> str | None:
    """Return what a git command prints, None where it fails or there is no git."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            check=False,
            text=True,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def commit(root: Path) -> str:
    """Return the commit that is checked out, or "unknown"."""
    return git(root, "rev-parse", "--verify", "-q", "HEAD") or UNKNOWN


def dirty(root: Path) -> bool | None:
    """Tell whether files differ from the commit, results and dvc.lock aside; None: no git."""
    changed = git(root, "status", "--porcelain", "--", ".", *WRITTEN)
    return None if changed is None else bool(changed)


def lock_sha256(root: Path) -> str:
    """Return the sha256 of dvc.lock, or "unknown" where there is none."""
    lock = root / "dvc.lock"
    return sha256(lock) if lock.is_file() else UNKNOWN


def data_sha256(paths: Paths, dataset: str) -> str:
    """Return the checksum of a data set's raw files, by its prepared manifest.

    One file: its sha256. Several: the sha256 of the lines "NAME SHA256", sorted.
    """
    manifest = paths.prepared(dataset) / "manifest.json"
    if not manifest.is_file():
        return UNKNOWN
    raw: dict[str, str] = read_json(manifest)["raw"]
    if len(raw) == 1:
        return next(iter(raw.values()))
    return together(raw)
