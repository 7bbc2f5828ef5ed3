"""Checks before any work: what can be known to fail is said before a stage is touched."""

import fcntl
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from flows.graph import Stage
from flows.room import need_of
from tasks.artefacts import read_json
from tasks.inputs import inputs
from tasks.paths import Paths
from tasks.scratch import Busy, fingerprint
from tasks.settings import Params

FREE = 300 * 2**20  # bytes on the disk below which no run begins; a default experiment takes 30 MB
LINE = 2**16  # bytes, a few blocks: below it the disk is full
KEYS = {"step", "learner", "average", "order", "curves"}  # some that every checkpoint has
PATIENCE = 5.0  # seconds that a trainer is given to end after its flow was killed


def check(
    paths: Paths,
    params: Params,
    every: Mapping[str, Stage],
    work: Sequence[Stage],
    force: bool,
    *,
    there: int | None = None,
) -> None:
    """Refuse work that cannot end well.

    Args:
        params: the settings of this run.
        every: all stages by address.
        work: the stages that will be tried.
        force: checkpoints will be dropped, so they need not be good.
        there: the most GPUs of a worker, where a cluster runs the stages; None is this machine.

    Raises:
        ValueError: and why, in one sentence.
        Busy: a living process runs one of the stages.
    """
    if not work:
        return
    disk(paths)
    for stage in work:
        check_stage(paths, params, every, stage, work, force, there=there)


def refusals(
    paths: Paths,
    params: Params,
    every: Mapping[str, Stage],
    work: Sequence[Stage],
    force: bool,
    *,
    there: int | None = None,
) -> dict[str, str]:
    """Return why each stage that cannot end well is refused, by address; as `check` otherwise.

    Raises:
        ValueError: nothing at all can be run.
    """
    if work:
        disk(paths)
    found: dict[str, str] = {}
    for stage in work:
        try:
            check_stage(paths, params, every, stage, work, force, there=there)
        except (ValueError, Busy) as error:
            found[stage.address] = str(error)
    return found


def check_stage(
    paths: Paths,
    params: Params,
    every: Mapping[str, Stage],
    stage: Stage,
    work: Sequence[Stage],
    force: bool,
    *,
    there: int | None = None,
) -> None:
    """Refuse a stage that cannot end well.

    Raises:
        ValueError: and why, in one sentence.
        Busy: a living process runs it.
    """
    if stage.verb == "fetch":
        source(stage)
    if stage.verb == "prepare":
        splits(paths, params, stage)
    dependencies(paths, stage, work, every)
    device(params, stage, there)
    idle(paths, stage)
    if not force:
        checkpoint(paths, params, stage)


def disk(paths: Paths) -> None:
    """Refuse a disk that is all but full."""
    free = shutil.disk_usage(paths.root).free
    if free < FREE:
        raise ValueError(
            f"the disk has {free / 2**20:.0f} MB free; a run needs {FREE / 2**20:.0f} MB, "
            "so free some space"
        )


def full(paths: Paths) -> bool:
    """Tell whether not even a line can be written."""
    return shutil.disk_usage(paths.root).free < LINE


def source(stage: Stage) -> None:
    """Refuse to fetch what is nowhere, truncated or altered; addresses are tried later."""
    from ebm.datasets import source_of
    from ebm.datasets.fetch import inspect

    inspect(source_of(stage.name))


def splits(paths: Paths, params: Params, stage: Stage) -> None:
    """Refuse to hold out more than there is, where that is known before the data are read."""
    from tasks.prepare import checksums, split

    dataset = params.datasets[stage.name]
    items = getattr(dataset.options, "items", None)
    if items is not None:  # of the training part; the test part is a file of its own
        split(items + dataset.test, dataset, stage.name, np.arange(items, items + dataset.test))
        return
    try:
        manifest = read_json(paths.prepared(stage.name) / "manifest.json")
        count, digests = sum(manifest["sizes"].values()), manifest["raw"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return
    try:
        split(count, dataset, stage.name)
    except ValueError:
        raw = paths.root / dataset.raw
        if raw.exists() and checksums(raw) == digests:  # else the count is of other data
            raise


def dependencies(
    paths: Paths, stage: Stage, work: Sequence[Stage], every: Mapping[str, Stage]
) -> None:
    """Refuse a stage whose files neither exist nor will be made."""
    made = [out for other in work for out in other.outs]
    for dep in stage.deps:
        if (paths.root / dep).exists() or any(shares(dep, out) for out in made):
            continue
        makers = [s.address for s in every.values() for out in s.outs if shares(dep, out)]
        hint = f"run {makers[0]} first" if makers else "put it there"
        if (paths.root / f"{dep}.dvc").is_file():
            hint = f"`dvc checkout {dep}.dvc` or `dvc pull {dep}.dvc` brings it"
        raise ValueError(f"{stage.address} reads {dep}, which is missing; {hint}")


def shares(dep: str, out: str) -> bool:
    """Tell whether what is read is within what is made, or a folder that holds it."""
    read, made = Path(dep), Path(out)
    return read.is_relative_to(made) or made.is_relative_to(read)


def device(params: Params, stage: Stage, there: int | None = None) -> None:
    """Refuse a stage for a GPU where there is none, or too few on each worker of a cluster."""
    if there is not None:
        wanted = need_of(params, stage).gpus
        if wanted > there:
            raise ValueError(
                f"{stage.address} needs a worker of the cluster that offers GPU={wanted}, and the "
                f"most is GPU={there}; `dask worker ... --resources GPU={wanted}` starts one"
            )
        return
    experiment = params.experiments.get(stage.name)
    if stage.verb in ("train", "sample") and experiment and experiment.device == "gpu":
        from tasks.device import pick_device

        try:
            pick_device(experiment.device)
        except ValueError as error:
            raise ValueError(f"{stage.address}: {error}") from None


def idle(paths: Paths, stage: Stage) -> None:
    """Refuse a stage that a living process runs; one whose flow was killed is about to end."""
    lock = paths.work / "scratch" / stage.name / stage.label / "lock"
    until = time.monotonic() + PATIENCE
    while (holder := held(lock)) is not None:
        if time.monotonic() > until:
            raise Busy(f"{stage.address} is already being run by {holder}; wait for it")
        time.sleep(0.1)


def held(lock: Path) -> str | None:
    """Return who holds a stage's lock, None where nobody does."""
    try:
        handle = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return os.read(handle, 100).decode() or "another process"
    finally:
        os.close(handle)


def checkpoint(paths: Paths, params: Params, stage: Stage) -> None:
    """Refuse a checkpoint that the stage would go on from, and that is another run's.

    A damaged one is no hindrance: the stage goes on from the one before it, and says so.
    """
    if stage.verb != "train":
        return
    home = paths.work / "scratch" / stage.name / stage.label
    left = list(home.glob("*/checkpoint.pt"))
    if not left:
        return
    from ebm import checkpoint as checkpoints

    mine = home / mark(paths, params, stage) / "checkpoint.pt"
    if mine not in left:
        return
    advice = f"`ebm clean {stage.name}` removes it"
    try:
        state = checkpoints.read(mine)
    except checkpoints.Damaged:
        return
    except checkpoints.Unreadable as error:
        raise ValueError(f"{error.fault}; {advice}") from None
    fit = inputs(params, "train", stage.name, stage.part).train.fit
    step = state.get("step")
    if not set(state) >= KEYS or not isinstance(step, int) or not 0 <= step <= fit.updates:
        raise ValueError(f"checkpoint {mine} belongs to another run; {advice}")


def mark(paths: Paths, params: Params, stage: Stage) -> str:
    """Return the fingerprint that the stage would have now."""
    from tasks.reads import reads

    values = None
    if stage.verb != "fetch":
        values = inputs(params, stage.verb, stage.name, stage.part)
    read = [p for p in reads(stage.verb, stage.name, values, paths) if p.exists()]
    return fingerprint(values, read, paths.root.resolve())
