import json

import numpy as np
import pytest
import torch
from PIL import Image

from ebm.learn.multigrid import Multigrid
from ebm.model import save
from tasks import apply
from tasks.artefacts import save_arrays
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.settings import ApplyInputs

INPUTS = {
    "dataset": "noise",
    "final": "last",
    "threads": 1,
    "seed": 3,
    "apply": {"images": 3, "completions": 2, "masks": ["half", "block", "pixels"], "hidden": 0.5},
}
GRID = {"width": 4, "steps": 2, "step_size": 0.1, "noise": 0.1, "start_noise": 0.1}
REST = {"bounds": 1.1, "data_noise": 0.0, "rate": 0.001, "momentum": 0.5, "decay": 0.0}


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """A project whose first test image is a copy of a training image, and an untrained model."""
    paths = Paths(tmp_path_factory.mktemp("project"))
    data, model = paths.prepared("noise"), paths.model("trial", "last")
    data.mkdir(parents=True)
    model.mkdir(parents=True)
    train = np.random.default_rng(0).uniform(-1, 1, (20, 1, 8, 8)).astype(np.float32)
    save_arrays(data / "train.npz", x=train)
    save_arrays(data / "test.npz", x=train[:5])
    grids = [{"size": size, **GRID, **REST} for size in (4, 8)]
    torch.manual_seed(0)
    learner = Multigrid(Multigrid.Settings.model_validate({"channels": 1, "grids": grids}))
    learner.prepare(torch.from_numpy(train))
    save(model, "multigrid", learner, learner.networks)
    return paths


def run(paths: Paths) -> tuple[dict, dict[str, bytes], Monitor]:
    monitor = Monitor(paths, "apply", "trial")
    apply.run("trial", None, ApplyInputs.model_validate(INPUTS), paths, monitor)
    results = paths.results("trial")
    pictures = {p.name: p.read_bytes() for p in sorted((results / "apply").iterdir())}
    return json.loads((results / "apply.json").read_text()), pictures, monitor


def test_each_mask_has_its_errors_spread_and_rules(paths: Paths) -> None:
    written = run(paths)[0]
    metrics = {row["metric"]: row for row in written["metrics"]}
    compared = {(row["metric"], row["of"]): row["value"] for row in written["compared"]}
    for kind in ("half", "block", "pixels"):
        mse, psnr, spread = (metrics[f"inpaint_{f}_{kind}"] for f in ("mse", "psnr", "spread"))
        assert 0 < mse["value"] < mse["ceiling"] and psnr["value"] > psnr["floor"]
        assert psnr["value"] == pytest.approx(10 * np.log10(4 / mse["value"]), abs=0.2)
        assert 0 < spread["value"] < spread["ceiling"]
        assert {row["seeds"] for row in (mse, psnr, spread)} == {2}
        for of in ("diffusion", "mean of the completions", "uniform noise"):
            assert compared[f"inpaint_mse_{kind}", of] > 0
        assert compared[f"inpaint_mse_{kind}", "nearest training image"] == 0  # test has copies
        assert compared[f"inpaint_psnr_{kind}", "nearest training image"] is None  # infinite


def test_pictures_have_a_column_an_image_and_keep_what_is_visible(paths: Paths) -> None:
    _, pictures, monitor = run(paths)
    assert list(pictures) == ["block.png", "half.png", "pixels.png"]
    folder = paths.results("trial") / "apply"
    assert monitor.notes["pictures"] == [str(folder / f"{k}.png") for k in INPUTS["apply"]["masks"]]
    pixels = np.asarray(Image.open(folder / "half.png")).astype(int)
    cell = (pixels.shape[1] - 2) // 3  # three columns
    assert pixels.shape[0] == 2 + cell * (2 + 2 + 2)  # original, masked, completions, rules
    left = pixels[2:cell, 2 : cell // 2]
    for line in range(1, 6):
        assert (pixels[2 + line * cell : (line + 1) * cell, 2 : cell // 2] == left).all()
    hidden = pixels[cell + cell // 2, cell - 4]
    assert len(set(hidden.tolist())) == 3  # a colour, where the images are grey


def test_same_inputs_give_the_same_bytes(paths: Paths) -> None:
    assert run(paths)[:2] == run(paths)[:2]
