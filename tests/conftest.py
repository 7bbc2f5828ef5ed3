"""What every test needs: quiet tools, one thread, and a tiny project to run stages in."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

QUIET = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
os.environ.update(QUIET)  # before torch starts its threads
DATA = os.environ.get("EBM_DATA")  # for tests that ask for it; all others do without
for switch in ("EBM_DATA", "EBM_DEBUG", "EBM_FLOW", "EBM_FORCE", "EBM_PARAMS"):
    os.environ.pop(switch, None)

import torch  # noqa: E402
import yaml  # noqa: E402

from ebm.datasets.digits import SOURCE  # noqa: E402
from ebm.datasets.fetch import fetch  # noqa: E402

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def as_it_began() -> Iterator[None]:
    """Keep a stage that a test runs in this process from leaving its threads and dice behind."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def raw_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The raw files of the digits."""
    folder = tmp_path_factory.mktemp("raw")
    fetch(SOURCE, folder)
    return folder


@pytest.fixture
def tiny_params() -> dict[str, Any]:
    """The project's settings with two experiments cut down to seconds."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    names = {"multigrid-digits-joint": "tiny", "multigrid-digits": "tiny-by-grid"}
    params["experiments"] = {
        new: cut_down(params["experiments"][old]) for old, new in names.items()
    }
    params["references"] = {}
    return params


def cut_down(experiment: dict[str, Any]) -> dict[str, Any]:
    """Make an experiment small."""
    for stage in experiment["train"].values():
        stage["fit"].update(updates=4, batch=8, check_every=2, checkpoint_every=2)
        for grid in stage["model"]["grids"]:
            grid.update(width=2, steps=2)
    experiment["threads"] = 1
    experiment["sample"] = {"count": 12, "draws": 2, "keep": 1, "shown": 4}
    experiment["evaluate"].update(feature_epochs=1, feature_width=4)
    experiment["classify"].update(labels=[20], draws=2, strengths=[0.01, 1.0])
    experiment["apply"]["inpaint"].update(images=2, completions=2)
    return experiment


@pytest.fixture
def project(tmp_path: Path, tiny_params: dict[str, Any], raw_digits: Path) -> Path:
    """A folder with tiny settings and the raw digits."""
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tiny_params, sort_keys=False))
    shutil.copytree(raw_digits, tmp_path / "data" / "raw" / "digits")
    return tmp_path
