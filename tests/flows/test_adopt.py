"""A model trained elsewhere is taken in if it is the one that would be trained here, else not."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from ebm.stored import load
from flows.adopt import adopt
from tasks.__main__ import run
from tasks.paths import Paths
from tasks.refusals import SettingsError

ROOT = Path(__file__).parents[2]
NAME = "multigrid-digits-joint"
ADDRESS = f"train@{NAME}-joint"


def tiny(path: Path) -> None:
    """Write the project's params.yaml with the smallest settings."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    for experiment in content["experiments"].values():
        experiment["threads"] = 1
        for part in experiment["train"].values():
            if "like" in part:
                continue
            part["fit"].update(updates=2, batch=4, check_every=1, checkpoint_every=1)
            for grid in part["model"].get("grids", []):
                grid.update(width=2, steps=1)
    path.write_text(yaml.safe_dump(content, sort_keys=False))


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train on a bare node: no DVC there, and no flow."""
    folder = tmp_path_factory.mktemp("node")
    tiny(folder / "params.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for stage, name, part in (
            ("fetch", "digits", None),
            ("prepare", "digits", None),
            ("train", NAME, "joint"),
        ):
            run(stage, name, part)
    return folder


@pytest.fixture
def home(node: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project with DVC and the same prepared data, where nothing was trained."""
    from dvc.repo import Repo

    Repo.init(str(tmp_path), no_scm=True).close()
    for name in ("params.yaml", "data"):
        copy = shutil.copytree if (node / name).is_dir() else shutil.copy
        copy(node / name, tmp_path / name)
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    for package in ("ebm", "tasks"):
        shutil.copytree(ROOT / package, tmp_path / package)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def brought(node: Path, home: Path) -> Path:
    """Bring the model's folder home, with the record beside its files."""
    folder = home / "from-the-node" / "joint"
    shutil.copytree(node / "models" / NAME / "joint", folder)
    shutil.copy(node / ".work" / "runs" / NAME / "train-joint.json", folder / "run.json")
    return folder


def test_a_model_trained_elsewhere_is_taken_in_and_dvc_does_not_train_it_again(
    node: Path, home: Path
) -> None:
    from dvc.repo import Repo

    taken = adopt(NAME, brought(node, home))
    assert taken.address == ADDRESS
    assert taken.record
    folder = home / "models" / NAME / "joint"
    assert not (folder / "run.json").exists()  # DVC would hash its seconds
    assert load(folder).sample(2).shape == (2, 1, 8, 8)
    record = json.loads(Paths(home).record("train", NAME, "joint").read_text())
    assert record["adopted"] is True
    assert record["seconds"] >= 0
    with Repo(str(home)) as repo:
        assert repo.status(targets=[ADDRESS]) == {}


@pytest.mark.parametrize("changed", ["settings", "data"])
def test_a_model_of_other_settings_or_data_is_refused_and_nothing_changes(
    node: Path, home: Path, changed: str
) -> None:
    if changed == "settings":
        text = (home / "params.yaml").read_text()
        (home / "params.yaml").write_text(text.replace("updates: 2", "updates: 3"))
    else:
        (home / "data/prepared/digits/train.npz").write_bytes(b"other")
    with pytest.raises(ValueError, match="settings, data or code differ"):
        adopt(NAME, brought(node, home))
    assert not (home / "models").exists()
    assert not (home / "dvc.lock").exists()


def test_a_damaged_model_is_refused(node: Path, home: Path) -> None:
    folder = brought(node, home)
    content = bytearray((folder / "model.pt").read_bytes())
    content[-10] ^= 1
    (folder / "model.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.pt is damaged; run its training stage again"):
        adopt(NAME, folder)
    (folder / "model.pt").unlink()
    with pytest.raises(ValueError, match=r"lacks model\.pt"):
        adopt(NAME, folder)


def test_the_model_that_was_there_comes_back_when_dvc_fails(node: Path, home: Path) -> None:
    (home / "models" / NAME / "joint").mkdir(parents=True)
    (home / "models" / NAME / "joint" / "old").touch()
    text = (home / "dvc.yaml").read_text()
    (home / "dvc.yaml").write_text(text.replace("python -m tasks train", "python -m tasks learn"))
    with pytest.raises(ValueError, match=r"dvc\.yaml has no stage train"):
        adopt(NAME, brought(node, home))
    assert [p.name for p in (home / "models" / NAME / "joint").iterdir()] == ["old"]


def test_the_training_stage_is_asked_for_where_the_folder_does_not_name_it(
    node: Path, home: Path
) -> None:
    with pytest.raises(SettingsError, match="--part"):
        adopt("multigrid-digits", brought(node, home))
    with pytest.raises(SettingsError, match="grid-4"):
        adopt("multigrid-digits", brought(node, home / "again"), "grid-44")


def test_a_known_record_outlives_a_second_adoption_without_one(node: Path, home: Path) -> None:
    folder = brought(node, home)
    assert adopt(NAME, folder).record
    place = Paths(home).record("train", NAME, "joint")
    before = place.read_bytes()
    (folder / "run.json").unlink()
    assert adopt(NAME, folder).record
    assert place.read_bytes() == before
    place.write_text('{"fingerprint": "other", "seconds": 1}')
    assert not adopt(NAME, folder).record
    assert "seconds" not in json.loads(place.read_text())


def test_a_folder_that_is_not_there_is_said_first(home: Path) -> None:
    with pytest.raises(ValueError, match="there is no folder .*nowhere"):
        adopt("multigrid-digits", home / "nowhere")
