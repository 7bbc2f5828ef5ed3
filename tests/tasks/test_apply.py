import io
import json
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ebm.learn.multigrid import Multigrid
from ebm.stored import save
from tasks import apply
from tasks.applications import inpaint
from tasks.artefacts import save_arrays
from tasks.inputs import ApplyInputs
from tasks.monitor import Monitor
from tasks.paths import Paths

INPUTS: dict[str, Any] = {
    "dataset": "noise",
    "final": "last",
    "threads": 1,
    "seed": 3,
    "apply": {},
}
KINDS = ["half", "block", "pixels"]
INPAINT = {"images": 3, "completions": 2, "masks": KINDS, "hidden": 0.5}
FIGURES = ("mse", "psnr", "spread")
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


def run(paths: Paths, **changes: Any) -> tuple[dict, dict[str, bytes], Monitor]:
    monitor = Monitor(paths, "apply", "trial")
    given = {**INPUTS, "apply": {"inpaint": {**INPAINT, **changes}}}
    apply.run("trial", None, ApplyInputs.model_validate(given), paths, monitor)
    results = paths.results("trial")
    pictures = {p.name: p.read_bytes() for p in sorted((results / "apply").iterdir())}
    return json.loads((results / "apply.json").read_text()), pictures, monitor


def test_each_mask_has_its_errors_spread_and_rules(paths: Paths) -> None:
    written = run(paths)[0]
    metrics = {row["metric"]: row for row in written["metrics"]}
    compared = {(row["metric"], row["of"]): row["value"] for row in written["compared"]}
    for kind in ("half", "block", "pixels"):
        mse, psnr, spread = (metrics[f"inpaint_{f}_{kind}"] for f in ("mse", "psnr", "spread"))
        assert mse["value"] > 0 == mse["floor"]
        assert mse["ceiling"] == compared[f"inpaint_mse_{kind}", "uniform noise"]
        assert psnr["floor"] == compared[f"inpaint_psnr_{kind}", "uniform noise"]
        assert psnr["value"] == pytest.approx(10 * np.log10(4 / mse["value"]), abs=0.2)
        assert 0 < spread["value"] < spread["ceiling"]
        assert {row["seeds"] for row in (mse, psnr, spread)} == {2}
        for of in ("diffusion", "mean of the completions", "uniform noise"):
            assert compared[f"inpaint_mse_{kind}", of] > 0
        assert 0 < compared[f"inpaint_mse_{kind}", "best of the completions"] <= mse["value"]
        mean = compared[f"inpaint_mse_{kind}", "mean of the completions"]
        guess = compared[f"inpaint_spread_{kind}", "error of a best guess"]
        assert guess**2 == pytest.approx(mean / 1.5, rel=1e-4)  # two completions: 1 + 1/2
        assert compared[f"inpaint_mse_{kind}", "nearest training image"] == 0  # test has copies
        assert compared[f"inpaint_psnr_{kind}", "nearest training image"] is None  # infinite


def test_pictures_have_a_column_an_image_and_keep_what_is_visible(paths: Paths) -> None:
    _, pictures, monitor = run(paths)
    assert list(pictures) == ["block.png", "half.png", "pixels.png"]
    folder = paths.results("trial") / "apply"
    assert monitor.notes["pictures"] == [str(folder / f"{k}.png") for k in KINDS]
    pixels = np.asarray(Image.open(folder / "half.png")).astype(int)
    cell = (pixels.shape[1] - 2) // 3  # three columns
    assert pixels.shape[0] == 2 + cell * (2 + 2 + 2)  # original, masked, completions, rules
    left = pixels[2:cell, 2 : cell // 2]
    for line in range(1, 6):
        assert (pixels[2 + line * cell : (line + 1) * cell, 2 : cell // 2] == left).all()
    hidden = pixels[cell + cell // 2, cell - 4]
    assert len(set(hidden.tolist())) == 3  # a colour, where the images are grey


MOUTH = {"name": "mouth", "box": [0.5, 0.25, 0.25, 0.5]}


def test_first_images_are_pictured_where_there_are_many(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = run(paths)[0]
    monkeypatch.setattr(inpaint, "SHOWN", 2)
    written, pictures, _ = run(paths)
    assert written == every
    for content in pictures.values():
        width, height = Image.open(io.BytesIO(content)).size
        assert (width - 2) // ((height - 2) // 6) == 2


def test_given_box_is_measured_and_pictured_under_its_name(paths: Paths) -> None:
    written, pictures, _ = run(paths, masks=["half", MOUTH])
    assert list(pictures) == ["half.png", "mouth.png"]
    assert [row["metric"] for row in written["metrics"]] == [
        f"inpaint_{figure}_{mask}" for mask in ("half", "mouth") for figure in FIGURES
    ]
    pixels = np.asarray(Image.open(paths.results("trial") / "apply" / "mouth.png")).astype(int)
    cell = (pixels.shape[1] - 2) // 3
    seen = pixels[2 + cell : 2 + 2 * cell, 2:cell].reshape(-1, 3)
    hidden = (np.ptp(seen, 1) > 0).mean()  # a colour, where the images are grey
    assert hidden == pytest.approx(0.125, abs=0.03)


def test_box_that_is_too_small_is_refused_before_the_old_results_go(paths: Paths) -> None:
    before = run(paths)[:2]
    with pytest.raises(ValueError, match="the mask dot .* hides no pixel of a 8x8 image"):
        run(paths, masks=["half", {"name": "dot", "box": [0.5, 0.5, 0.01, 0.01]}])
    results = paths.results("trial")
    assert json.loads((results / "apply.json").read_text()) == before[0]
    assert {p.name for p in (results / "apply").iterdir()} == set(before[1])


def test_same_inputs_give_the_same_bytes(paths: Paths) -> None:
    assert run(paths)[:2] == run(paths)[:2]
