"""Several processes that train together: Lightning Fabric starts, joins and averages them.

On one host the stage starts them itself, on the loopback address. On several hosts torchrun has
started this process and the others, and they are taken as they are. Gradients are averaged by
torch's DistributedDataParallel: gloo between CPUs, NCCL between GPUs.
"""

import atexit
import logging
import os
import socket
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import active_children, get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn
from torch.multiprocessing.spawn import ProcessExitedException

from ebm.processes import Processes
from tasks.device import started_outside
from tasks.scratch import die_with_parent

PATIENCE = 3  # seconds in which the end of another process is seen before what it did to this one

for name in ("lightning_fabric", "torch.multiprocessing.spawn"):
    logging.getLogger(name).setLevel(logging.ERROR)


class Group:
    """This process among those that Fabric joined; see `ebm.processes.Processes`."""

    def __init__(self, fabric: Fabric) -> None:
        self.fabric = fabric
        self.rank, self.count = fabric.global_rank, fabric.world_size

    def wrap(self, network: nn.Module) -> nn.Module:
        """Return the network in Fabric's DistributedDataParallel."""
        return self.fabric.setup_module(network, move_to_device=False)

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean over the processes."""
        return self.fabric.all_reduce(values.clone(), reduce_op="mean")  # type: ignore[return-value]

    def gather(self, state: Any) -> list[Any]:
        """Return to process 0 the states of all."""
        states = [None] * self.count if self.rank == 0 else None
        torch.distributed.gather_object(state, states)
        return states or []


class OnThisHost(DDPStrategy):
    """Processes of one host, which find each other by a file.

    A store of torch's own, as Lightning would have it, listens on every address of the host.

    Args:
        meeting: a file that is not there yet.
    """

    def __init__(self, meeting: Path) -> None:
        super().__init__(start_method="spawn")
        self.meeting = meeting

    def setup_environment(self) -> None:
        """Join the others, in a new process."""
        on_cpu = self.root_device.type == "cpu"
        torch.distributed.init_process_group(
            "gloo" if on_cpu else "nccl",
            store=torch.distributed.FileStore(  # type: ignore[attr-defined]
                str(self.meeting), self.num_processes
            ),
            rank=self.local_rank,
            world_size=self.num_processes,
            device_id=None if on_cpu else self.root_device,
        )
        atexit.register(torch.distributed.destroy_process_group)
        super().setup_environment()  # which finds them joined


Work = Callable[[Processes, str, Any], dict[str, Any]]


def launch(work: Work, job: Any, count: int, device: str, threads: int) -> dict[str, Any]:
    """Run work(group, device, job) in several processes; return what it returns in process 0.

    Args:
        work: a function of a module, so that a new process can find it.
        job: handed to it, as pickle copies it.
        count: the number of processes that the settings ask for.
        device: "cpu", or "cuda": each process has a GPU.
        threads: of torch, in each process.

    Raises:
        RuntimeError: work failed, or a process ended; the others were ended.
        ValueError: there are fewer GPUs than processes on this host, or torchrun started another
            number of processes.
    """
    if started_outside():
        fabric = joined(count, device)
        return {**work(Group(fabric), str(fabric.device), job), **facts(fabric)}
    check_gpus(count, device)
    keep_to_loopback()
    errors = get_context("spawn").SimpleQueue()
    try:
        with TemporaryDirectory() as folder:
            fabric = Fabric(
                accelerator=device,
                devices=count,
                strategy=OnThisHost(Path(folder, "meeting")),
                plugins=[LightningEnvironment()],
            )
            entry = partial(enter, work=work, job=job, threads=threads, errors=errors)
            return fabric.launch(entry)  # type: ignore[no-any-return]
    except KeyboardInterrupt:  # who pressed Ctrl-C may have told this process alone
        for child in active_children():
            child.kill()
        raise
    except ProcessExitedException as error:
        if error.signal_name is None and not errors.empty():
            raise RuntimeError(errors.get()) from None
        raise RuntimeError(
            f"process {error.error_index} of {count} was ended by "
            f"{error.signal_name or 'itself'}, by hand or for want of memory, and the others were "
            "ended with it; run this again, and it goes on from its last checkpoint"
        ) from None


def enter(fabric: Fabric, work: Work, job: Any, threads: int, errors: Any) -> dict[str, Any]:
    """Do the work in a new process; an error that can be said in a sentence is handed up."""
    die_with_parent()
    torch.set_num_threads(threads)
    try:
        return {**work(Group(fabric), str(fabric.device), job), **facts(fabric)}
    except (OSError, RuntimeError, ValueError) as error:
        errors.put(str(error))
        time.sleep(PATIENCE)  # a lost neighbour makes an error here, and is the better news
        raise SystemExit(1) from None


def joined(count: int, device: str) -> Fabric:
    """Return this process's Fabric among those that torchrun started.

    Raises:
        ValueError: they are not as many as the settings ask for, or too many for the GPUs here.
    """
    there, here = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
    if there != count:
        raise ValueError(
            f"processes is {count} and torchrun started {there}; make nnodes times nproc-per-node "
            "equal to it"
        )
    check_gpus(here, device)
    fabric = Fabric(
        accelerator=device,
        devices=here,
        num_nodes=there // here,
        strategy=DDPStrategy(),
        plugins=[TorchElasticEnvironment()],
    )
    fabric.launch()
    return fabric


def facts(fabric: Fabric) -> dict[str, Any]:
    """Return what the record says of the processes beside the settings."""
    strategy = fabric.strategy
    return {
        "processes": fabric.world_size,
        "hosts": getattr(strategy, "num_nodes", 1),
        "backend": torch.distributed.get_backend(),
    }


def check_gpus(count: int, device: str) -> None:
    """Refuse more processes than there are GPUs on this host."""
    if device != "cpu" and count > torch.cuda.device_count():
        raise ValueError(
            f"{count} processes are to run on this host, which has {torch.cuda.device_count()} "
            "GPUs; each needs one: set processes to that, or add hosts by torchrun"
        )


def keep_to_loopback() -> None:
    """Have gloo and NCCL speak over the loopback device, where nothing else is said."""
    names = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
    if names:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", names[0])
        os.environ.setdefault("NCCL_SOCKET_IFNAME", f"={names[0]}")
