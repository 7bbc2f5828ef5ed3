"""A trained model's folder."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from ebm.learn.multigrid import Grid, Multigrid, MultigridSettings
from ebm.model import load, save

GRID = {
    "width": 3,
    "steps": 2,
    "step_size": 1.0,
    "noise": 0.05,
    "start_noise": 0.1,
    "bounds": 1.1,
    "data_noise": 0.05,
    "rate": 0.01,
    "momentum": 0.5,
    "decay": 0.05,
}


def learner(size: int, below: Multigrid | None = None) -> Multigrid:
    made = Multigrid(MultigridSettings(channels=1, grids=[Grid(size=size, **GRID)]), below)
    made.prepare(torch.rand(9, 1, 4, 4, generator=torch.Generator().manual_seed(1)))
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    upper = learner(4, learner(2))
    save(tmp_path, "multigrid", upper, upper.networks)
    return tmp_path


def test_loaded_model_draws_the_same_samples(tmp_path: Path) -> None:
    torch.manual_seed(0)
    upper = learner(4, learner(2))
    save(tmp_path, "multigrid", upper, upper.networks)
    model = load(tmp_path)
    assert torch.equal(model.learner.sample(range(5))[4][-1], upper.sample(range(5))[4][-1])
    x = torch.zeros(3, 1, 4, 4)
    assert torch.equal(model.score(x), upper.score(x))
    assert torch.equal(model.features(x), upper.features(x))


def test_networks_that_are_saved_are_those_given(tmp_path: Path) -> None:
    upper, other = learner(4, learner(2)), learner(4)
    del other.networks["1"]
    save(tmp_path, "multigrid", upper, other.networks)
    loaded = load(tmp_path).learner.networks["4"].head.weight
    assert torch.equal(loaded, other.networks["4"].head.weight)


def test_image_depends_on_its_seed_and_number_alone(folder: Path) -> None:
    model = load(folder)
    images = model.sample(7, seed=3, batch=4)
    assert images.shape == (7, 1, 4, 4) and images.abs().max() <= 1
    assert torch.allclose(model.sample(5, seed=3, batch=2), images[:5], atol=1e-5)
    assert not torch.allclose(model.sample(7, seed=4), images, atol=1e-2)


def test_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no model.json"):
        load(tmp_path)


def change(folder: Path, **changes: Any) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"format": 99}, r"model\.json is of format 99"),
        ({"learner": "multigird"}, "did you mean multigrid"),
        ({"stages": []}, r"model\.json names no stage"),
        ({"stages": [{"channels": 1}]}, r"model\.json: grids"),
    ],
)
def test_foreign_description_is_refused(folder: Path, changes: dict[str, Any], named: str) -> None:
    change(folder, **changes)
    with pytest.raises(ValueError, match=named):
        load(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}'])
def test_damaged_description_is_refused_by_name(folder: Path, text: str) -> None:
    (folder / "model.json").write_text(text)
    with pytest.raises(ValueError, match=r"model\.json"):
        load(folder)


def test_truncated_weights_are_refused_by_name(folder: Path) -> None:
    content = (folder / "model.pt").read_bytes()
    (folder / "model.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"model\.pt is damaged; run its training stage again"):
        load(folder)


def test_weights_of_other_settings_are_refused(folder: Path) -> None:
    stages = json.loads((folder / "model.json").read_text())["stages"]
    stages[0]["grids"][0]["width"] = 5
    change(folder, stages=stages)
    with pytest.raises(ValueError, match=r"model\.pt does not fit model\.json"):
        load(folder)
