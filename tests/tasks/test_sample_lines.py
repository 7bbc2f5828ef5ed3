"""Samples that are lines: those that the model draws, and what commands say of their kinds."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ebm.datasets.smiles import texts
from flows import on_files as commands
from flows.on_files import Asked
from tasks import on_files, sample_lines
from tasks.paths import Paths
from tests.tasks.test_score_lines import NOTES, POINTS, made

SEQUENCE = {"kind": "sequence", "symbols": len(NOTES["alphabet"]), "length": 20}
SEQUENCE |= {"embedding": 4, "hidden": 8}
MARKS = {"rows": {"quadrature": 1}, "drugs": {"molecules": 1}, "walks": {"candidates": 1}}


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """What `ebm sample` says of an experiment of a kind; untrained models stand for trained."""
    paths = Paths(tmp_path)
    settings = SimpleNamespace(experiments={"drugs": SimpleNamespace(dataset="set")})
    (folder := paths.prepared("set")).mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"notes": NOTES}))
    raw = {name: {"evaluate": marks} for name, marks in MARKS.items()}
    models = {"rows": made(POINTS), "drugs": made(SEQUENCE)}
    monkeypatch.setattr(sample_lines, "read", lambda path: settings)
    monkeypatch.setattr(commands, "known", lambda name: paths)
    monkeypatch.setattr(commands, "experiments", lambda paths: raw)
    monkeypatch.setattr(on_files, "open_model", lambda name, paths: models[name])

    def say(name: str, count: int = 5, each: bool = False, **more: Any) -> list[str]:
        return list(commands.samples(Asked(name, tmp_path, **more), count, 3, each))

    return say


def test_points_are_written_as_rows_that_read_back(
    at: Callable[..., list[str]], tmp_path: Path
) -> None:
    assert at("rows") == ["Written: 5 points, a line each, rows-samples-seed-3.csv"]
    rows = np.loadtxt(tmp_path / "rows-samples-seed-3.csv", delimiter=",")
    assert rows == pytest.approx(made(POINTS).sample(5, 3).numpy(), rel=1e-5)
    assert at("rows", 7, out=Path("more.csv")) == ["Written: 7 points, a line each, more.csv"]
    more = np.loadtxt(tmp_path / "more.csv", delimiter=",")
    assert (more[:5] == rows).all()
    with pytest.raises(ValueError, match=r"must be a folder or a file that ends with \.csv"):
        at("rows", out=Path("more.png"))


def test_molecules_are_written_as_they_were_drawn(
    at: Callable[..., list[str]], tmp_path: Path
) -> None:
    torch.manual_seed(1)
    (said,) = at("drugs", 40)
    lines = (tmp_path / "drugs-samples-seed-3.smi").read_text().split("\n")[:-1]
    assert lines == texts(made(SEQUENCE).sample(40, 3).tolist(), **NOTES)
    assert said.startswith("Written: 40 strings as they were drawn, ")
    assert " of them molecules by RDKit, drugs-samples-seed-3.smi" in said


def test_what_cannot_be_drawn_or_ranked_so_is_refused(
    at: Callable[..., list[str]], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="not drawn without a beginning; `ebm forecast walks"):
        at("walks")
    with pytest.raises(ValueError, match="samples of rows are lines of one file; leave out --each"):
        at("rows", each=True)
    with pytest.raises(ValueError, match="walks learned trajectories, which are not ranked"):
        commands.ranking(Asked("walks", tmp_path), [Path("a.csv")])
    with pytest.raises(ValueError, match="drugs learned from molecules; give text files"):
        commands.ranking(Asked("drugs", tmp_path), [Path("a.png")])
    assert not list(tmp_path.glob("*-samples-*"))
