"""Data sets are split without overlap, and their manifests say what they are made of."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ebm.checksum import sha256, together
from tasks.__main__ import main
from tasks.artefacts import load_arrays, read_json
from tasks.dataset_settings import Dataset
from tasks.inputs import PrepareInputs
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.prepare import checksums, run, split

DIGITS = {"source": "digits", "raw": "data/raw/digits", "seed": 7}


def dataset(validation: int, test: int, seed: int = 7) -> Dataset:
    return Dataset.model_validate({**DIGITS, "validation": validation, "test": test, "seed": seed})


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20), st.integers(0, 9))
def test_parts_share_nothing_and_leave_nothing_out(
    train: int, validation: int, test: int, seed: int
) -> None:
    count = train + validation + test
    parts = split(count, dataset(validation, test, seed), "toy")
    assert [len(parts[name]) for name in ("train", "validation", "test")] == [
        train,
        validation,
        test,
    ]
    assert sorted(np.concatenate(list(parts.values()))) == list(range(count))


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20), st.integers(0, 5))
def test_official_test_part_is_kept_and_never_learned_from(
    train: int, validation: int, test: int, unused: int
) -> None:
    pool = train + validation
    official = np.arange(pool, pool + test + unused)
    parts = split(pool + test + unused, dataset(validation, test), "toy", official)
    assert parts["test"].tolist() == official[:test].tolist()
    rest = np.concatenate([parts["train"], parts["validation"]])
    assert sorted(rest) == list(range(pool)) and len(parts["validation"]) == validation


def test_more_held_out_than_there_is_is_refused_with_the_counts() -> None:
    with pytest.raises(ValueError, match="datasets.toy holds out 10 of 10 items; leave some"):
        split(10, dataset(4, 6), "toy")
    with pytest.raises(ValueError, match="datasets.toy holds out 4 of 4 items; leave some"):
        split(10, dataset(4, 6), "toy", np.arange(4, 10))
    with pytest.raises(ValueError, match="datasets.toy.test is 7; the official test part has 6"):
        split(10, dataset(2, 7), "toy", np.arange(4, 10))


def test_few_raw_files_are_listed_and_many_have_one_checksum(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(10):
        (tmp_path / "in" / f"{number}.txt").write_text(str(number))
    each = {f"in/{n}.txt": sha256(tmp_path / "in" / f"{n}.txt") for n in range(10)}
    assert checksums(tmp_path) == each
    assert checksums(tmp_path / "in" / "1.txt") == {"1.txt": each["in/1.txt"]}
    (tmp_path / "more.txt").touch()
    each["more.txt"] = sha256(tmp_path / "more.txt")
    assert checksums(tmp_path) == {"11 files": together(each)}


@pytest.fixture
def pictures(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a folder of 20 pictures, one of them cut."""
    monkeypatch.chdir(project)
    monkeypatch.setattr("tasks.__main__.die_with_parent", lambda asker: None)
    content = yaml.safe_load((project / "params.yaml").read_text())
    content["datasets"]["folder"].update(validation=3, test=4)
    content["datasets"]["folder"]["options"] = {"size": 8, "channels": 3, "least": 19}
    (project / "params.yaml").write_text(yaml.safe_dump(content))
    folder = project / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(20):
        pixels = random.integers(0, 256, (9 + number, 12, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    (folder / "07.png").write_bytes((folder / "07.png").read_bytes()[:99])
    return folder


def test_folder_is_prepared_and_what_was_left_out_is_said_and_kept(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", "folder"]) == 0
    manifest = read_json(Path("data/prepared/folder/manifest.json"))
    assert manifest["sizes"] == {"test": 4, "validation": 3, "train": 12}
    assert manifest["shape"] == [3, 8, 8] and manifest["classes"] == 1
    assert list(manifest["notes"]["left_out"]) == ["07.png"]
    assert list(manifest["raw"]) == ["20 files"]
    mixed, line = capsys.readouterr().out.strip().splitlines()
    assert mixed == "19 pictures: 19 sizes from 12x9 to 12x28, each cut to 8x8"
    assert line.startswith("1 file left out (07.png: it is damaged: ")
    assert line.endswith("); data/prepared/folder/manifest.json names all")
    assert read_json(Path(".work/runs/folder/prepare.json"))["said"] == [mixed, line]
    parts = [load_arrays(Path(f"data/prepared/folder/{p}.npz"))["x"] for p in manifest["sizes"]]
    assert len({image.tobytes() for part in parts for image in part}) == 19


def test_mirrored_training_images_stand_behind_the_others_and_no_held_out_one_is(
    pictures: Path,
) -> None:
    assert main(["prepare", "folder"]) == 0
    plain = {p: load_arrays(Path(f"data/prepared/folder/{p}.npz"))["x"] for p in ("train", "test")}
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["datasets"]["folder"]["mirror"] = True
    Path("params.yaml").write_text(yaml.safe_dump(content))
    assert main(["prepare", "folder"]) == 0
    train = load_arrays(Path("data/prepared/folder/train.npz"))
    assert (train["x"] == np.concatenate([plain["train"], plain["train"][..., ::-1]])).all()
    assert len(train["y"]) == 24
    assert (load_arrays(Path("data/prepared/folder/test.npz"))["x"] == plain["test"]).all()
    assert read_json(Path("data/prepared/folder/manifest.json"))["sizes"]["train"] == 24


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 1
    assert not Path("data/prepared/folder").exists()
    return capsys.readouterr().err.strip()


def test_too_few_pictures_stop_it_with_the_counts(pictures: Path, capsys: Any) -> None:
    (pictures / "01.png").write_text("Dear Sir or Madam,\n")
    assert fails(capsys, "prepare", "folder").startswith(
        "prepare folder: pictures has 18 pictures that can be used (2 left out: "
        "01.png: it is no picture of a known format; 07.png: it is damaged: "
    )


def test_missing_folder_is_named_by_its_setting(pictures: Path, capsys: Any) -> None:
    pictures.rename("elsewhere")
    says = "prepare folder: datasets.folder.raw is 'pictures', which does not exist"
    assert fails(capsys, "prepare", "folder") == says
    assert "there is nothing to fetch for folder" in fails(capsys, "fetch", "folder")


def test_points_of_a_density_are_prepared_from_its_formulas(tmp_path: Path) -> None:
    raw = "ebm/datasets/densities.py"
    (tmp_path / raw).parent.mkdir(parents=True)
    shutil.copy(Path(__file__).parents[2] / raw, tmp_path / raw)
    options = {"density": "rings", "count": 40, "seed": 1}
    held = {"validation": 5, "test": 10, "seed": 7}
    toy = Dataset.model_validate({"source": "densities", "raw": raw, **held, "options": options})
    paths = Paths(tmp_path)
    run("toy", None, PrepareInputs(dataset=toy), paths, Monitor(paths, "prepare", "toy"))
    manifest = read_json(paths.prepared("toy") / "manifest.json")
    assert manifest["shape"] == [2] and manifest["classes"] == 1
    assert manifest["raw"] == {"densities.py": sha256(tmp_path / raw)}
    parts = {p: load_arrays(paths.prepared("toy") / f"{p}.npz") for p in manifest["sizes"]}
    assert {name: part["x"].shape for name, part in parts.items()} == {
        "train": (25, 2),
        "validation": (5, 2),
        "test": (10, 2),
    }
    reach = [min(p["x"].min() for p in parts.values()), max(p["x"].max() for p in parts.values())]
    assert manifest["range"] == pytest.approx(reach)
