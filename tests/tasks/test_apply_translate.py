"""Translation as a stage: rows, picture and refusals, on a tiny model and images of 8x8."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from ebm.checksum import sha256
from ebm.learn.maximum_likelihood import MaximumLikelihood
from ebm.metrics.efficientnet import bare
from ebm.model import Model
from ebm.stored import load, save
from flows.expected import applied
from tasks import apply_translate
from tasks.artefacts import save_arrays, write_json
from tasks.inputs import ApplyInputs
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.pictures import cut
from tasks.settings import read
from tests.conftest import ROOT

MODEL: dict[str, Any] = {
    "network": {"kind": "convnet", "size": 8, "channels": 3, "width": 4},
    "reference": None,
    "start": {"start": "source"},
    "sample_from": "chains",
    "chain": {"steps": 8, "sample_steps": 8, "step_size": 0.05, "noise": 0.0},
    "data_noise": 0.0,
    "decay": 0.0,
    "optimiser": {"kind": "adam", "rate": 0.001, "momentum": 0.5},
}
ASKED = {"source": "dark", "against": "test", "shown": 4, "kid": {"subsets": 5, "size": 6}}
NAME = "translate-anime-hair"


def translator() -> MaximumLikelihood:
    """Return an untrained learner whose chains start at six dark images."""
    torch.manual_seed(0)
    learner = MaximumLikelihood(MaximumLikelihood.Settings.model_validate(MODEL))
    learner.begin_at(torch.full((6, 3, 8, 8), -0.5))
    learner.prepare(torch.zeros(2, 3, 8, 8))
    return learner


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """A project with both domains, random weights of EfficientNet, and an untrained model."""
    paths = Paths(tmp_path_factory.mktemp("project"))
    for name, light in (("dark", -0.5), ("light", 0.5)):
        paths.prepared(name).mkdir(parents=True)
        for place, split in enumerate(("train", "validation", "test")):
            random = np.random.default_rng(place)
            x = light + random.uniform(-0.4, 0.4, (10, 3, 8, 8)).astype(np.float32)
            save_arrays(paths.prepared(name) / f"{split}.npz", x=x)
    torch.manual_seed(0)
    torch.save(bare().state_dict(), paths.root / "random.pth")
    manifest = {"weights": "random.pth", "sha256": sha256(paths.root / "random.pth")}
    paths.reference("light", "efficientnet").mkdir(parents=True)
    target = paths.reference("light", "efficientnet") / "manifest.json"
    write_json(target, {**manifest, "device": "cpu"})
    paths.model("trial", "learn").mkdir(parents=True)
    learner = translator()
    save(paths.model("trial", "learn"), "maximum_likelihood", learner, learner.networks)
    return paths


def run(paths: Paths, **changes: Any) -> dict[str, Any]:
    asked = {"translate": {**ASKED, **changes}}
    given = {"dataset": "light", "final": "learn", "threads": 1, "seed": 3, "apply": asked}
    monitor = Monitor(paths, "apply", "trial")
    apply_translate.run("trial", None, ApplyInputs.model_validate(given), paths, monitor)
    written: dict[str, Any] = json.loads((paths.results("trial") / "apply.json").read_text())
    return written


def test_rows_and_picture_are_those_that_are_expected(paths: Paths) -> None:
    written = run(paths)
    names = [row["metric"] for row in written["metrics"]]
    weights = sha256(paths.root / "random.pth")[:8]
    expected = applied({"translate": ASKED})
    assert names == [*expected[:4], f"{expected[4]}_{weights}"]
    by = {row["metric"]: row for row in written["metrics"]}
    colours = by["translate_kid_pixels8"]
    assert colours["floor"] < 0.1 < colours["ceiling"]
    assert 0 <= by["translate_edges"]["value"] < by["translate_edges"]["ceiling"]
    picture = Image.open(paths.results("trial") / "apply" / "translate.png").convert("RGB")
    shown = cut(np.asarray(picture), 8)
    assert shown.shape == (7, 4, 8, 8, 3)  # the source, four states, the heat map, the nearest
    source = np.load(paths.prepared("dark") / "test.npz")["x"][:4].transpose(0, 2, 3, 1)
    assert np.abs(shown[0] / 127.5 - 1 - source).max() < 0.01


def test_figures_of_validation_images_say_so_in_their_names(paths: Paths) -> None:
    written = run(paths, against="validation")
    assert all(row["metric"].endswith("_validation") for row in written["metrics"])
    assert all(row["metric"].endswith("_validation") for row in written["compared"])
    assert all(n.endswith("_validation") for n in applied({"translate": {"against": "validation"}}))


def test_subsets_of_more_images_than_there_are_are_refused(paths: Paths) -> None:
    with pytest.raises(ValueError, match=r"kid.size is 11; the test parts have 10 images of the"):
        run(paths, kid={"subsets": 1, "size": 11})


def test_loaded_model_translates_one_image_as_among_many(paths: Paths) -> None:
    model: Model = load(paths.model("trial", "learn"))
    x = np.load(paths.prepared("dark") / "test.npz")["x"]
    whole = model.translate(x)
    assert whole.shape == (10, 3, 8, 8) and whole.abs().max() <= 1
    assert torch.allclose(model.translate(x[4]), whole[4], atol=1e-5)
    assert model.translate(x[4], keep=2).shape == (5, 3, 8, 8)


def params(tmp_path: Path, change: Any) -> Path:
    """Write the experiment's settings, changed."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["experiments"] = {NAME: content["experiments"][NAME]}
    change(content["experiments"][NAME])
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return tmp_path / "params.yaml"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda e: e["train"]["learn"].pop("source"), "source is None and model.start is 'source'"),
        (lambda e: e["train"]["learn"].update(source="anime-blak"), "anime-blak"),
        (lambda e: e["apply"]["translate"].update(source="anime-blak"), "anime-blak"),
        (lambda e: e["apply"].update(interpolate={"strips": 2, "frames": 3}), "translate, and it"),
        (lambda e: e.update(dataset="anime-black"), "references has none of the data set"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    tmp_path: Path, change: Any, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        read(params(tmp_path, change))
