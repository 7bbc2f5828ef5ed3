"""Outputs kept while their stage runs: DVC deletes them before it runs a stage's command."""

import os
import shutil
from pathlib import Path

from flows.graph import Stage
from tasks.artefacts import read_json, write_json
from tasks.paths import Paths

NOTE = "outs.json"


def place(paths: Paths, stage: Stage) -> Path:
    """Return the folder of a stage's backup."""
    return paths.work / "backup" / stage.address.replace("/", "_")


def protect(paths: Paths, stage: Stage) -> None:
    """Keep a stage's outputs as they are, by hard links where the disk allows."""
    target = place(paths, stage)
    temporary = target.with_name(f".{target.name}.part")
    for old in (target, temporary):
        shutil.rmtree(old, ignore_errors=True)
    temporary.mkdir(parents=True)
    present = [out for out in stage.outs if (paths.root / out).exists()]
    for out in present:
        link(paths.root / out, temporary / out)
    write_json(temporary / NOTE, {"outs": stage.outs, "present": present})
    temporary.replace(target)


def restore(paths: Paths, target: Path) -> None:
    """Put a stage's outputs back as they were; it may be cut off and done again.

    Args:
        target: the folder of the backup.
    """
    note = read_json(target / NOTE)
    for out in note["outs"]:
        path = paths.root / out
        temporary = path.with_name(f".{path.name}.part")
        remove(temporary)
        if out in note["present"]:
            path.parent.mkdir(parents=True, exist_ok=True)
            link(target / out, temporary)
        remove(path)
        if temporary.exists():
            temporary.replace(path)
    drop(target)


def recover(paths: Paths) -> list[str]:
    """Put back what killed runs left without outputs; return the addresses.

    A stage whose outputs all stand, old or new, needs nothing.
    """
    restored = []
    for target in sorted((paths.work / "backup").glob("*")):
        if mend(paths, target):
            restored.append(target.name)
        else:
            drop(target)
    return restored


def waiting(paths: Paths) -> bool:
    """Tell whether outputs are kept that their stage has neither replaced nor got back."""
    return any(not each.name.startswith(".") for each in (paths.work / "backup").glob("*"))


def mend(paths: Paths, target: Path) -> bool:
    """Put back what a killed run of one stage left without outputs; tell whether it had to be."""
    if target.name.startswith(".") or not target.exists():
        return False
    if all((paths.root / out).exists() for out in read_json(target / NOTE)["present"]):
        return False
    restore(paths, target)
    return True


def drop(target: Path) -> None:
    """Remove a backup, whole or not at all."""
    temporary = target.with_name(f".{target.name}.part")
    if target != temporary and target.exists() and not target.name.startswith("."):
        shutil.rmtree(temporary, ignore_errors=True)
        target.replace(temporary)
    else:
        temporary = target
    shutil.rmtree(temporary, ignore_errors=True)


def link(source: Path, target: Path) -> None:
    """Copy a file or a folder by hard links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=link_file)
    else:
        link_file(str(source), str(target))


def link_file(source: str, target: str) -> None:
    """Make a hard link, or a copy where the disk has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
