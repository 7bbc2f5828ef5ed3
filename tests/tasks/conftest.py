"""A project in which every stage left something, small and made up, to render reports of."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tasks.artefacts import save_arrays, write_json
from tasks.inputs import inputs
from tasks.paths import Paths
from tasks.pictures import sheet
from tasks.report.run import Stage
from tasks.settings import read

ROOT = Path(__file__).parents[2]
NAME = "multigrid-digits-joint"
EVIL = '</script><img src=x onerror="alert(1)">'

METRIC = {
    "metric": "frechet_digits",
    "value": 41.25,
    "spread": 0.5,
    "floor": 14.5,
    "ceiling": 2121.0,
    "better": "lower",
    "samples": 1000,
    "seeds": 3,
    "about": f"One sentence {EVIL}.",
}
RIVALS = [
    {"metric": "frechet_digits", "of": "coarser grid, upsampled", "value": 66.5},
    {"metric": "frechet_digits", "of": "Gaussian", "value": 55.125},
]


def scores(*rows, rivals=()):
    return {
        "experiment": NAME,
        "protocol": "How it was measured.",
        "metrics": list(rows),
        "compared": list(rivals),
    }


def images(*shape):
    """Noise in [-1, 1]."""
    return np.random.default_rng(shape).uniform(-1, 1, shape).astype(np.float32)


def pictures(results):
    """The pictures of every stage, and one that is no sheet."""
    for folder in ("samples", "evaluate", "apply"):
        (results / folder).mkdir(parents=True)
    for size in (1, 2, 8):
        sheet(images(25, 1, size, size), results / f"samples/grid_{size}.png")
    sheet(images(40, 1, 8, 8), results / "evaluate/nearest.png")
    sheet(images(8 * 16, 3, 8, 8), results / "apply/half.png", columns=16, side=1000)
    Image.new("L", (20, 20), 90).save(results / "apply/own_mask.png")


def classified():
    """classify.json: two lines of the model's own, two that it is compared with, margins."""
    rows, rivals = [], []
    for count, value in {20: 33.125, 200: 8.5}.items():
        error = {**METRIC, "metric": f"error_{count}_labels", "value": value, "spread": 2.0}
        tuned = {**error, "metric": f"error_{count}_labels_fine_tuned", "value": value - 3}
        about = f"Points by which it errs less on {count} labels."
        margin = {**error, "metric": f"margin_{count}_labels", "value": 3.25, "about": about}
        rows += [error, tuned, margin]
        raw = {"metric": error["metric"], "of": "raw pixels", "value": value + 5}
        scratch = {"metric": tuned["metric"], "of": "same network from scratch", "value": value + 1}
        rivals += [raw, {**scratch, "spread": 1.5}]
    return scores(*rows, rivals=rivals)


def filled_in():
    """apply.json: a mask's errors and spread."""
    mse = {**METRIC, "metric": "inpaint_mse_half", "value": 0.7517, "floor": 0.0, "ceiling": 1.0}
    psnr = {**mse, "metric": "inpaint_psnr_half", "value": 7.25, "better": "higher"}
    spread = {**mse, "metric": "inpaint_spread_half", "value": 0.4375, "spread": None}
    of = {"of": "nearest training image"}
    rivals = [
        {"metric": "inpaint_mse_half", **of, "value": 0.3125},
        {"metric": "inpaint_psnr_half", **of, "value": 11.5},
        {"metric": "inpaint_mse_half", "of": "best of the completions", "value": 0.125},
        {"metric": "inpaint_spread_half", "of": "error of a best guess", "value": 0.5625},
    ]
    return scores(mse, psnr, spread, rivals=rivals)


@pytest.fixture
def paths(tmp_path):
    """A project with its settings and nothing else."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["experiments"][NAME]["about"] = f"Digits & more {EVIL}"
    params["experiments"][NAME]["sample"]["keep"] = 5
    for grid in params["experiments"][NAME]["train"]["joint"]["model"]["grids"]:
        grid["steps"] = 30
    params["experiments"][NAME]["goals"] = {
        "frechet_digits": {"seed_figure": "3.5 in print", "goal": 30.75}
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    return Paths(tmp_path)


@pytest.fixture
def full(paths):
    """A project in which every stage left something."""
    results = paths.results(NAME)
    write_json(results / "metrics.json", scores(METRIC, rivals=RIVALS))
    write_json(results / "classify.json", classified())
    write_json(results / "apply.json", filled_in())
    pictures(results)
    for stage in (Stage("prepare", "digits"), Stage("train", NAME, "joint"), Stage("sample", NAME)):
        record(paths, stage)
    paths.samples(NAME).mkdir(parents=True)
    shapes = {1: (1, 25, 1, 1, 1), 2: (7, 25, 1, 2, 2), 8: (7, 25, 1, 8, 8)}
    arrays = {f"grid_{s}": images(*shape) for s, shape in shapes.items()}
    save_arrays(paths.samples(NAME) / "chains.npz", **arrays)
    model = paths.model(NAME, "joint")
    model.mkdir(parents=True)
    (model / "curves.csv").write_text("step,8/gap,8/sd_data\n1,0.5,0.25\n2,nan,0.25\n3,0.7,0.2\n")
    manifest = {"title": "Digits", "raw": {"digits.csv.gz": "ab12"}, "sizes": {"train": 3}}
    write_json(paths.prepared("digits") / "manifest.json", manifest)
    lock = {
        "sample@multigrid-digits-joint": {
            "cmd": f"python -m tasks sample {NAME}",
            "outs": [{"path": f"samples/{NAME}", "md5": "d41d8cd9.dir"}],
        },
        "sample@other": {"cmd": "python -m tasks sample other", "outs": []},
    }
    (paths.root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": lock}))
    return paths


def record(paths, stage, **changes):
    settings = inputs(read(paths.params), *stage).model_dump(mode="json")
    facts = {
        "stage": stage.stage,
        "name": stage.name,
        "part": stage.part,
        "command": stage.command,
        "seconds": 30.0,
        "device": "cpu",
        "device_name": "a processor",
        "settings": settings,
        **changes,
    }
    if stage.stage == "train":
        event = {"step": 2, "back_to": 1, "reason": "the gap ran away"}
        facts.update(verdict="healthy", evidence="grid 8: gap 0.1", events=[event])
    write_json(paths.record(*stage), facts)
