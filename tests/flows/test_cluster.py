"""A Dask cluster's workers have the GPUs of a suite; the machine that asks needs none."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flows import engines, guard, side_by_side, suite
from flows.choice import choose
from flows.experiment import Hooks, Manner, Work, run_experiments
from flows.side_by_side import Run
from flows.work import Order
from tasks import settings
from tasks.paths import Paths
from tests.conftest import ROOT
from tests.flows.conftest import JOINT, TRAIN, edit, outputs, set_param
from tests.flows.test_guard import STAGE

pytest.importorskip("prefect_dask", reason="the extra dask of pyproject.toml is not installed")

GPU = "recovery-cifar10"
DASK = Manner("on a cluster", engine="dask")


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a GPU, which names a cluster that nobody asks."""
    monkeypatch.setattr(engines, "cluster", lambda: "tcp://127.0.0.1:1")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for module in (side_by_side, suite):
        monkeypatch.setattr(module, "gpus", lambda: [])


def test_a_suite_leaves_gpu_experiments_to_the_cluster(without_gpu: None) -> None:
    params = settings.read(ROOT / "params.yaml")
    choice = choose(Paths(ROOT), params, [GPU], lambda: suite.gpu_for("dask"))
    assert choice == ([GPU], {})
    assert not suite.gpu_for("threads")


def test_a_stage_is_refused_only_where_no_worker_offers_its_gpus(without_gpu: None) -> None:
    params = settings.read(ROOT / "params.yaml")
    stage = STAGE._replace(name=GPU, part="learn")
    guard.device(params, stage, there=1)
    guard.device(params, stage._replace(verb="evaluate", part=None), there=0)
    with pytest.raises(ValueError, match=r"offers GPU=1, and the most is GPU=0; `dask worker"):
        guard.device(params, stage, there=0)
    with pytest.raises(ValueError, match="torch sees no GPU"):
        guard.device(params, stage)


def test_gpu_stages_begin_together_see_all_gpus_and_wait_at_the_cluster(without_gpu: None) -> None:
    import dask

    params = settings.read(ROOT / "params.yaml")
    stages = [STAGE._replace(address=f"train@{n}", name=GPU, part="learn") for n in range(3)]
    reasons = {stage.address: ["changed"] for stage in stages}
    work = Work([GPU], stages, reasons, False, None, {}, {}, DASK)
    run = Run(Paths(ROOT), params, work, Hooks())
    asked: list[tuple[Order, Any]] = []

    class Future:
        def add_done_callback(self, call: Callable[[Any], None]) -> None: ...

    def submit(order: Order, wait_for: Any) -> Future:
        with run.reserve(order):
            asked.append((order, dask.get_annotations().get("resources")))
        return Future()

    assert all(run.begin(stage, submit) for stage in stages)
    assert [resources for _, resources in asked] == [{"GPU": 1}] * 3
    assert not any("CUDA_VISIBLE_DEVICES" in order.environment for order, _ in asked)
    with run.reserve(asked[0][0]._replace(reasons=None)):  # it is up to date, and computes nothing
        assert "resources" not in dask.get_annotations()


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, float]], None]]:
    """Starts a cluster of one worker, with resources, and names it as a person would."""
    import dask
    from distributed import LocalCluster

    started: list[Any] = []

    def start(resources: dict[str, float]) -> None:
        cluster = LocalCluster(
            n_workers=1,
            threads_per_worker=2,
            host="127.0.0.1",
            dashboard_address=None,
            resources=resources,
        )
        started.append(cluster)
        dask.config.set({"scheduler-address": cluster.scheduler_address})

    yield start
    dask.config.set({"scheduler-address": None})
    for cluster in started:
        cluster.close()


def test_a_gpu_stage_runs_on_the_worker_that_offers_one(
    pipeline: Path,
    worker: Callable[[dict[str, float]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(side_by_side, "gpus", lambda: pytest.fail("this machine is asked"))
    none = "    if not torch.cuda.is_available():\n        raise ValueError"
    edit(Path("tasks/device.py"), lambda text: text.replace(none, f"    return 'cpu'\n{none}"))
    set_param(Path(), f"experiments.{JOINT}.device", "gpu")
    worker({})
    with pytest.raises(ValueError, match=f"{TRAIN} needs a worker of the cluster"):
        run_experiments([JOINT], "train", manner=DASK)
    worker({"GPU": 1})
    (row,) = run_experiments([JOINT], "train", manner=DASK).rows
    assert row.state == "Ran", row
    assert TRAIN in outputs(pipeline)


def test_a_cluster_that_does_not_answer_is_said(
    without_gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "PATIENCE", 1)
    with pytest.raises(RuntimeError, match=r"the Dask cluster at tcp://127.0.0.1:1, .*not answer"):
        engines.gpus_of_a_worker()
