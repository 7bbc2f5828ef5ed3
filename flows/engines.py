"""Where stages run: threads of this process, or the processes of a Dask cluster.

A stage is a process of its own either way. Dask's own setting names a cluster that is there
already: DASK_SCHEDULER_ADDRESS in the environment; where there is none, one of local processes is
made for the run. All workers see the project's folder under the same name. GPUs are then those of
the cluster: a stage waits for a worker that offers as many under Dask's resource GPU, and what this
machine has is not asked.
"""

import importlib.util
import logging
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ebm.names import hint
from flows.room import cores
from flows.work import ENGINES

GPU = "GPU"  # Dask's resource: `dask worker ... --resources GPU=1`
PATIENCE = 30  # seconds that a cluster has to answer
FAR = 10**6  # cores and stages of a cluster, which gives out its work itself


def check(engine: str) -> None:
    """Refuse an engine that is not there.

    Raises:
        ValueError: in one sentence.
    """
    if engine not in ENGINES:
        raise ValueError(f"--engine is {engine!r}; {hint(engine, ENGINES)}")
    if engine == "dask" and importlib.util.find_spec("prefect_dask") is None:
        raise ValueError(
            "--engine dask needs prefect-dask, which is not installed; pip install -e '.[dask]'"
        )


def cluster() -> str | None:
    """Return the address of a Dask cluster that is there already, None where none is named."""
    import dask

    return dask.config.get("scheduler-address", None)


def elsewhere(engine: str) -> bool:
    """Tell whether stages run on a cluster that is there already, whatever this machine has."""
    return engine == "dask" and cluster() is not None


def gpus_of_a_worker() -> int:
    """Return the most GPUs that a worker of the cluster offers.

    Raises:
        RuntimeError: the cluster does not answer.
    """
    from distributed import Client

    try:
        with Client(cluster(), timeout=PATIENCE, set_as_default=False) as client:
            workers = client.scheduler_info()["workers"].values()
    except (OSError, ValueError) as error:
        raise RuntimeError(
            f"the Dask cluster at {cluster()}, which DASK_SCHEDULER_ADDRESS names, does not "
            f"answer ({error})"
        ) from None
    return max((int(worker["resources"].get(GPU, 0)) for worker in workers), default=0)


def reserve(engine: str, gpus: int) -> AbstractContextManager[Any]:
    """Have what is submitted meanwhile wait for a worker of the cluster with so many GPUs free."""
    if not gpus or not elsewhere(engine):
        return nullcontext()
    from dask.base import annotate

    return annotate(resources={GPU: gpus})


def task_runner(engine: str, workers: int) -> Any:
    """Return Prefect's task runner of an engine, with so many workers."""
    if engine == "threads":
        from prefect.task_runners import ThreadPoolTaskRunner

        return ThreadPoolTaskRunner(max_workers=workers)
    from prefect_dask.task_runners import DaskTaskRunner

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # its ending sounds like an error
    if address := cluster():
        return DaskTaskRunner(address=address)
    local = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
    return DaskTaskRunner(cluster_kwargs={**local, "host": "127.0.0.1", "memory_limit": 0})


def space(engine: str, most: int | None) -> tuple[int, int]:
    """Return the cores that stages may take together, and how many stages there may be at once.

    Args:
        most: what the person asked for.
    """
    if elsewhere(engine):
        return FAR, most or FAR
    return cores(), most or cores()
