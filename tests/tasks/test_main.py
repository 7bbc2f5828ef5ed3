"""`python -m tasks`: the one executor of a stage."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from http.client import IncompleteRead
from pathlib import Path

import pytest
import torch
import yaml

from ebm import checkpoint
from tasks import prepare
from tasks.__main__ import explain, main
from tasks.passing import PASSING
from tasks.scratch import Scratch

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's own process must not be bound to its parent."""
    monkeypatch.setattr("tasks.__main__.die_with_parent", lambda asker: None)


@pytest.fixture
def at(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny project, prepared, as the working folder."""
    monkeypatch.chdir(project)
    assert main(["prepare", "digits"]) == 0
    return project


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_stages_run_one_after_the_other_and_leave_their_artefacts(at: Path) -> None:
    assert main(["train", "tiny", "joint"]) == 0
    assert main(["sample", "tiny"]) == 0
    model = at / "models" / "tiny" / "joint"
    assert sorted(p.name for p in model.iterdir()) == [
        "curves.csv",
        "fingerprint",
        "model.json",
        "model.pt",
    ]
    assert len((model / "curves.csv").read_text().splitlines()) == 5
    assert (at / "samples" / "tiny" / "samples.npz").is_file()
    assert (at / "results" / "tiny" / "samples" / "grid_8.png").is_file()
    record = json.loads((at / ".work" / "runs" / "tiny" / "train-joint.json").read_text())
    assert record["command"] == "python -m tasks train tiny joint"
    assert record["settings"]["train"]["fit"]["updates"] == 4
    assert record["threads"] == torch.get_num_threads() == 1
    assert record["verdict"] == "healthy" and record["events"] == []
    assert record["fingerprint"] == (model / "fingerprint").read_text().strip()
    assert not list((at / ".work" / "live").rglob("*.json"))


def test_same_command_gives_the_same_bytes(at: Path) -> None:
    model = at / "models" / "tiny-by-grid"
    parts = ["grid-2", "grid-4", "grid-8"]
    for part in parts:
        assert main(["train", "tiny-by-grid", part]) == 0
    first = content(model)
    for part in parts:
        assert main(["train", "tiny-by-grid", part]) == 0
    assert content(model) == first and len(first) == 12


def test_prepared_data_have_their_splits_and_a_manifest(at: Path) -> None:
    from tasks.artefacts import load_arrays

    folder = at / "data" / "prepared" / "digits"
    manifest = json.loads((folder / "manifest.json").read_text())
    sizes = {name: len(load_arrays(folder / f"{name}.npz")["y"]) for name in manifest["sizes"]}
    assert sizes == manifest["sizes"] and sum(sizes.values()) == 1797
    assert manifest["licence"] == "CC BY 4.0" and len(manifest["raw"]["digits.csv.gz"]) == 64
    rows = [tuple(x.ravel()) for n in sizes for x in load_arrays(folder / f"{n}.npz")["x"]]
    assert len(set(rows)) == 1797, "a digit is in two splits"


@pytest.mark.parametrize(
    "arguments",
    [[], ["train"], ["train", "tiny"], ["sample", "tiny", "joint"]],
)
def test_wrong_arguments_are_refused_with_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert "python -m tasks STAGE NAME [PART]" in capsys.readouterr().err


def test_a_wrong_stage_is_one_sentence_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trian", "tiny", "joint"]) == 2
    assert one_line(capsys) == "there is no stage 'trian'; did you mean train?"
    assert main(["xyz", "tiny"]) == 2
    assert "there are fetch, prepare" in one_line(capsys)


def test_help_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "python -m tasks STAGE NAME [PART]" in capsys.readouterr().out


def test_an_unknown_source_leaves_nothing_and_names_what_can_be_fetched(
    at: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    assert main(["fetch", "nope"]) == 1
    listed = one_line(capsys).split("there are ")[1].split(", ")
    assert sorted(listed) == sorted(graph["stages"]["fetch"]["foreach"])
    assert not list((at / ".work").rglob("nope"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "tinny", "joint"], "no experiment 'tinny'; did you mean tiny?"),
        (["train", "tiny", "jiont"], "no training stage of tiny 'jiont'; did you mean joint?"),
        (["prepare", "digts"], "no data set 'digts'; did you mean digits?"),
        (["fetch", "digts"], "no data source 'digts'; did you mean digits?"),
        (["sample", "tiny"], "holds no model.json"),
        (["train", "tiny-by-grid", "grid-4"], "holds no model.json"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_sentence(
    at: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert words in one_line(capsys)


def test_damaged_data_are_refused_in_one_sentence_and_the_old_model_stays(
    at: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "tiny", "joint"]) == 0
    before = content(at / "models")
    capsys.readouterr()
    train = at / "data" / "prepared" / "digits" / "train.npz"
    train.write_bytes(train.read_bytes()[:1000])
    assert main(["train", "tiny", "joint"]) == 1
    assert "train.npz cannot be read as arrays" in one_line(capsys)
    assert content(at / "models") == before


def put_checkpoint(monkeypatch: pytest.MonkeyPatch, fill: Callable[[Path], object]) -> None:
    """Have a checkpoint in a stage's scratch folder from its beginning."""
    enter = Scratch.__enter__

    def with_checkpoint(self: Scratch) -> Scratch:
        held = enter(self)
        fill(held.folder / "checkpoint.pt")
        return held

    monkeypatch.setattr(Scratch, "__enter__", with_checkpoint)


def test_damaged_checkpoint_is_said_and_training_begins_anew_to_the_same_bits(
    at: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["train", "tiny", "joint"]) == 0
    before = content(at / "models")
    capsys.readouterr()
    put_checkpoint(monkeypatch, lambda path: torch.save({"x": 1}, path))
    assert main(["train", "tiny", "joint"]) == 0
    assert "is not a checkpoint of this program: it begins anew" in capsys.readouterr().out
    assert content(at / "models") == before


def test_checkpoint_of_another_run_is_refused_in_one_sentence(
    at: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_checkpoint(monkeypatch, lambda path: checkpoint.write(path, {"step": 1}))
    assert main(["train", "tiny", "joint"]) == 1
    assert "is not of this run" in one_line(capsys)


def test_full_disk_is_said_in_one_sentence_and_leaves_the_old_model(
    at: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["train", "tiny", "joint"]) == 0
    before = content(at / "models")

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    capsys.readouterr()
    assert main(["train", "tiny", "joint"]) == 1
    assert "the disk is full" in one_line(capsys)
    assert content(at / "models") == before


def test_an_answer_that_is_cut_is_said_in_one_sentence_and_passes(
    at: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*asked: object) -> None:
        raise IncompleteRead(b"abc", 7)

    monkeypatch.setattr(prepare, "run", cut)
    assert main(["prepare", "digits"]) == PASSING
    assert one_line(capsys).startswith("prepare digits: IncompleteRead(3 bytes read")


def test_missing_gpu_is_said_in_one_sentence(
    at: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    text = (at / "params.yaml").read_text()
    (at / "params.yaml").write_text(text.replace("device: cpu", "device: gpu"))
    assert main(["train", "tiny", "joint"]) == 1
    assert "device is 'gpu', and torch sees no GPU here" in one_line(capsys)


def test_settings_may_come_from_another_file(at: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = at / ".work" / "params.yaml"
    other.write_text((at / "params.yaml").read_text().replace("updates: 4", "updates: 2"))
    monkeypatch.setenv("EBM_PARAMS", str(other))
    assert main(["train", "tiny", "joint"]) == 0
    assert len((at / "models/tiny/joint/curves.csv").read_text().splitlines()) == 3


def test_error_of_the_system_names_the_file() -> None:
    assert explain(PermissionError(13, "Permission denied", "a/b")) == "a/b: Permission denied"
    assert explain(FileNotFoundError("x holds no model.json")) == "x holds no model.json"


def test_figures_of_a_run_that_fails_are_kept(at: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (at / "params.yaml").read_text()
    (at / "params.yaml").write_text(text.replace("gap_limit: 20.0", "gap_limit: 1.0e-9"))
    assert main(["train", "tiny", "joint"]) == 1
    told = one_line(capsys)
    assert (
        "diverged at iteration" in told and "see .work/broken/tiny/joint/post-mortem.html" in told
    )
    page = (at / ".work" / "broken" / "tiny" / "joint" / "post-mortem.html").read_text()
    assert "This run diverged" in page and "Samples at the break" in page
    assert (at / ".work" / "broken" / "tiny" / "joint.csv").read_text().startswith("step,")
    assert not list((at / ".work" / "live").rglob("*.json"))


def test_command_ends_with_status_1_and_no_traceback(at: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tasks", "sample", "nothing"],
        cwd=at,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("sample nothing: there is no experiment 'nothing'")
    assert "Traceback" not in done.stderr
