"""Where a stage computes, and what that machine is."""

import os
import platform
from typing import Any

import torch


def pick_device(device: str) -> str:
    """Return torch's name of the device that the settings ask for.

    Raises:
        ValueError: a GPU is asked for and there is none.
    """
    if device == "cpu":
        return "cpu"
    if not torch.cuda.is_available():
        raise ValueError(
            "device is 'gpu', and torch sees no GPU here; run it on a GPU node and bring it home "
            "with `ebm adopt`, or set device to 'cpu'"
        )
    return "cuda"


def gpus() -> list[str]:
    """Return the GPUs that torch sees here, as CUDA_VISIBLE_DEVICES names them."""
    if not torch.cuda.is_available():  # CUDA_VISIBLE_DEVICES=-1 names none
        return []
    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return named or [str(number) for number in range(torch.cuda.device_count())]


def started_outside() -> bool:
    """Tell whether torchrun started this process, on its own or among others."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def describe(device: str) -> dict[str, Any]:
    """Return what a reader of the results wants to know of the machine."""
    name = platform.processor() or platform.machine()
    if device == "gpu" and torch.cuda.is_available():
        name = torch.cuda.get_device_name(0)
    else:
        name = cpu_name() or name
    return {
        "device": device,
        "device_name": name,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def cpu_name() -> str | None:
    """Return the processor's name, where the system tells it."""
    try:
        with open("/proc/cpuinfo") as file:
            lines = [line for line in file if line.startswith("model name")]
    except OSError:
        return None
    return lines[0].split(":", 1)[1].strip() if lines else None
