"""Run one stage: python -m tasks STAGE NAME [PART].

Stages: fetch, prepare (NAME is a data set); reference (NAME is one of `references`); train (NAME is
an experiment, PART one of its training stages); sample, evaluate, classify, apply (NAME is an
experiment). DVC and the flow both run stages by this command, so that they give the same bytes.
Exit status: 0 done, 1 failed, 2 refused, 75 failed by a fault that passes, as of the network.

A flow sets EBM_FLOW to the id of its process (the stage ends with it, what it prints goes to its
log, and its last checkpoint stays until dvc.lock knows the result), EBM_FORCE=1 (no checkpoint is
taken up) and EBM_PARAMS, a file read in place of params.yaml. EBM_DEBUG=1 shows where an error
arose.
"""

import errno
import importlib
import os
import sys
import time
import traceback
from http.client import HTTPException
from pathlib import Path
from typing import Any

from ebm.names import hint
from tasks.artefacts import write_json
from tasks.monitor import Monitor
from tasks.passing import PASSING, passes
from tasks.paths import Paths
from tasks.refusals import SettingsError, named
from tasks.scratch import Scratch, die_with_parent, fingerprint

STAGES = ("fetch", "prepare", "reference", "train", "sample", "evaluate", "classify", "apply")


def main(arguments: list[str]) -> int:
    """Run the stage that the arguments name; return the exit status."""
    stage, name, part = [*arguments, "", "", ""][:3]
    if {"-h", "--help"} & set(arguments):
        print(__doc__)
        return 0
    if stage and stage not in STAGES:
        print(f"there is no stage {stage!r}; {hint(stage, STAGES)}", file=sys.stderr)
        return 2
    if not name or (stage == "train") != bool(part):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        for word in filter(None, (name, part)):
            named(word)  # the log's file is, too
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    asker = os.environ.get("EBM_FLOW", "")
    die_with_parent(int(asker) if asker.isdigit() else None)
    if os.environ.get("EBM_FLOW"):
        print_to(Paths().log(stage, name, part or None))
    try:
        run(stage, name, part or None)
    except (ValueError, RuntimeError, HTTPException) as error:  # Busy and Diverged are the second
        return fail(f"{stage} {name} {part}".strip(), str(error), error)
    except OSError as error:
        return fail(f"{stage} {name} {part}".strip(), explain(error), error)
    return 0


def run(stage: str, name: str, part: str | None) -> None:
    """Run a stage in this process."""
    from tasks import settings
    from tasks.inputs import inputs as settings_of
    from tasks.reads import reads

    if stage == "fetch":
        from tasks.fetch import wanted

        wanted(name)  # a name that is wrong leaves no folder
    paths = Paths()
    params = settings.read(Path(os.environ.get("EBM_PARAMS") or paths.params))
    inputs = None if stage == "fetch" else settings_of(params, stage, name, part)
    mark = fingerprint(inputs, reads(stage, name, inputs, paths), Path(__file__).parents[1])
    if stage == "train" and follows():
        importlib.import_module("tasks.train").follow(
            name, part, inputs, paths, Scratch(paths, stage, name, part, mark)
        )
        return
    with Scratch(paths, stage, name, part, mark) as scratch:
        monitor = Monitor(paths, stage, name, part)
        begun, started = time.monotonic(), time.time()
        module = importlib.import_module(f"tasks.{module_of(stage, inputs)}")
        extra = {"scratch": scratch} if stage == "train" else {}
        set_threads(inputs)
        try:
            module.run(name, part, inputs, paths, monitor, **extra)
        finally:
            monitor.close()
        record = {
            "stage": stage,
            "name": name,
            "part": part,
            "command": " ".join(["python -m tasks", stage, name, *([part] if part else [])]),
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
            "seconds": round(time.monotonic() - begun, 2),
            "fingerprint": mark,
            "settings": inputs.model_dump(mode="json") if inputs else {},
            **machine(inputs),
            **monitor.notes,
        }
        write_json(paths.record(stage, name, part), record)


def follows() -> bool:
    """Tell whether this process takes part in a stage that another one records."""
    return int(os.environ.get("RANK", "0")) > 0 and "TORCHELASTIC_RUN_ID" in os.environ


def module_of(stage: str, inputs: Any) -> str:
    """Return the module of a stage: kinds of experiments, and some applications, have their own."""
    from tasks.kinds import KINDS

    for name, kind in KINDS.items():
        if kind.inputs.get(stage) is type(inputs):
            return f"{stage}_{name}"
    alone = alone_of(inputs) if stage == "apply" else None
    return f"apply_{alone}" if alone else stage


def alone_of(inputs: Any) -> str | None:
    """Return the application that has a stage of its own, where it is asked for."""
    from tasks.apply_settings import ALONE

    return next((name for name in ALONE if getattr(inputs.apply, name)), None)


def print_to(log: Path) -> None:
    """Send all that this process prints to a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def set_threads(inputs: Any) -> None:
    """Set the number of threads that the settings name; it is part of what fixes the bits."""
    if hasattr(inputs, "threads"):
        import torch

        torch.set_num_threads(inputs.threads)


def machine(inputs: Any) -> dict[str, Any]:
    """Describe the device of a stage that computes."""
    if not hasattr(inputs, "threads"):
        return {}
    from tasks.device import describe

    return describe(getattr(inputs, "device", "cpu"))


def explain(error: OSError) -> str:
    """Say an error of the system as a person would."""
    if error.errno == errno.ENOSPC:
        return "the disk is full; free some space and run it again, nothing is lost"
    if error.errno is None:
        return str(error)
    return f"{error.filename or 'a file'}: {error.strerror or error}"


def fail(what: str, why: str, error: Exception) -> int:
    """Say in one sentence what failed, return the exit status; EBM_DEBUG=1 shows where."""
    print(f"{what}: {why}", file=sys.stderr)
    if os.environ.get("EBM_DEBUG"):
        traceback.print_exc()
    return PASSING if passes(error) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
