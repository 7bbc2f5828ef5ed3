"""Files that are torn or left behind, and a disk that is full."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from benchmarks.faults.trial import (
    Trial,
    checkpoints,
    ended_well,
    finish,
    left_behind,
    note,
    plainly,
    training,
)
from benchmarks.sandbox import PATIENCE, Sandbox, wait

DISK = 800  # MB of the disk that is filled


def torn(trial: Trial, tear: Callable[[bytes], bytes]) -> str:
    """Kill a run, and change its last checkpoint: it goes on from the one before it."""
    found = cut_off(trial)
    if not found:
        return "no checkpoint was left to tear"
    for path in found:
        path.write_bytes(tear(path.read_bytes()))
    said = trial.box.run()
    text = plainly(trial, said)
    seen = re.findall(
        r"(?:checkpoint )?\S+ is (?:damaged|not a checkpoint).*?(?:serves|anew)", text
    )
    if not seen:
        return f"the damage is not seen: {text[-300:]}"
    trial.heard.extend(re.sub(r"[0-9a-f]{16}", "...", each) for each in seen)
    return ended_well(trial, said) or finish(trial)


def cut_off(trial: Trial) -> list[Path]:
    """Kill a run that has written two checkpoints; return the last. Some are too fast for that."""
    scratch = trial.box.root / ".work" / "scratch"
    for _ in range(5):
        with training(trial) as run:
            wait(lambda run=run: list(scratch.rglob("before-*.pt")) or run.poll() is not None)
            run.kill()
            run.wait()
        left_behind(trial.box)
        if found := checkpoints(trial.box):
            return found
        trial.box.forget()
    return []


def checkpoint_truncated(trial: Trial) -> str:
    """A checkpoint that ends early."""
    share = trial.dice.random()
    return torn(trial, lambda content: content[: int(share * len(content))])


def checkpoint_flipped(trial: Trial) -> str:
    """A checkpoint with one bit flipped."""
    share, bit = trial.dice.random(), trial.dice.randrange(8)

    def flip(content: bytes) -> bytes:
        """Turn one bit over."""
        place = int(share * len(content))
        return content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :]

    return torn(trial, flip)


def dvc_locks_left(trial: Trial) -> str:
    """The locks of a DVC that was killed."""
    box = trial.box
    with training(trial) as run:
        shutil.copytree(box.root / ".dvc" / "tmp", box.root / "locks", dirs_exist_ok=True)
        run.kill()
        run.wait()
    left_behind(box)
    shutil.copytree(box.root / "locks", box.root / ".dvc" / "tmp", dirs_exist_ok=True)
    shutil.rmtree(box.root / "locks")
    (box.root / ".dvc" / "tmp" / "lock").write_text("99999\n")
    return finish(trial)


def disk_full(trial: Trial) -> str:
    """A disk that is full from the beginning of each stage on, until a person makes room.

    It is a file system in memory, which only root may mount.
    """
    place = trial.box.root.with_suffix(".disk")
    place.mkdir()
    size = f"size={DISK}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(place)], check=True)
    try:
        small = trial._replace(box=trial.box.copy(place / "project"))
        return full_at_each_stage(small, place / "filler") or finish(small)
    finally:
        Sandbox(place / "project", []).remove()
        subprocess.run(["umount", str(place)], check=True)


def full_at_each_stage(trial: Trial, filler: Path) -> str:
    """Fill the disk when a stage begins, for each stage; return what is wrong."""
    for verb in ("fetch", "prepare", "train", "sample", "evaluate", "classify", "apply"):
        run = trial.box.start()
        if not wait(lambda verb=verb: trial.box.of(["-m", "tasks", verb]), PATIENCE):
            return f"{verb} did not begin"
        fill(filler)
        said = trial.box.end(run)
        filler.unlink()
        if not said.code:
            return f"{verb} ended well on a full disk"
        if wrong := note(trial, said):
            return f"{verb}: {wrong}"
        if "No space left" not in said.text and "disk" not in said.text:
            return f"{verb}: it does not say that the disk is full: {said.text[-300:]}"
    return ""


def fill(path: Path) -> None:
    """Write a file until nothing more can be written."""
    with path.open("wb", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            try:
                while file.write(b"\0" * size) == size:
                    pass
            except OSError:
                continue
