"""Text files ranked by f(x): rows and molecules, each wrong line named."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ebm.datasets.smiles import texts
from ebm.learn.latent_prior import LatentPrior, LatentPriorSettings
from ebm.model import Model
from tasks import score_lines
from tasks.paths import Paths
from tasks.score_lines import molecules, table

CHAIN = {"steps": 5, "sample_steps": 20, "step_size": 0.02, "temperature": 1.0}
NOTES = {"symbols": "characters", "alphabet": sorted("()=1CNOcn")}


def made(decoder: dict[str, Any]) -> Model:
    torch.manual_seed(0)
    adam = {"kind": "adam", "rate": 0.01, "momentum": 0.9}
    given = {"latent": 2, "prior": None, "decoder": decoder, "optimiser": adam}
    posterior = {"start": "prior", "chain": CHAIN}
    settings = LatentPriorSettings.model_validate({**given, "posterior": posterior})
    return Model(LatentPrior(settings), {"learner": "latent_prior"})


POINTS = {"kind": "point", "dim": 3, "widths": [], "sd": 0.5}


def test_rows_have_the_score_of_the_learner_and_the_number_of_their_line(tmp_path: Path) -> None:
    model, file = made(POINTS), tmp_path / "rows.csv"
    file.write_text("a,b,c\n1,2,3\n\n-1; 0.5; 2e-1\n")
    found = score_lines.score_lines(model, file, "rows.csv", "mine", Paths(tmp_path))
    assert [name for name, _ in found] == ["rows.csv:2", "rows.csv:4"]
    right = model.learner.score(torch.tensor([[1.0, 2, 3], [-1, 0.5, 0.2]]))
    assert [value for _, value in found] == pytest.approx(right.tolist(), rel=1e-5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,2\n", "line 1 has 2 numbers; the model's rows have 3"),
        ("a,b,c\n1,2,x\n", "line 2: 'x' is no number"),
        ("1,2,3\nd,e,f\n", "line 2: 'd' is no number"),
        ("1,2,inf\n", "line 1 has a value that is not finite"),
        ("\n", "has no rows"),
    ],
)
def test_a_wrong_row_is_named(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match=words):
        table(file, "rows.csv", 3)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"rows\.csv is no text"):
        table(file, "rows.csv", 3)
    with pytest.raises(ValueError, match="none is missing"):
        table(tmp_path / "none", "none", 3)


@given(st.text(max_size=60))
def test_any_text_is_rows_or_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.csv"
    file.write_text(text, encoding="utf-8", errors="replace")
    for parse in (lambda: table(file, "any", 2), lambda: molecules(file, "any", NOTES, 9)):
        try:
            lines, rows = parse()
        except ValueError as error:
            assert str(error).startswith("any")
        else:
            assert len(lines) == len(rows) and np.isfinite(rows).all()


def test_molecules_become_the_tokens_that_read_back(tmp_path: Path) -> None:
    file = tmp_path / "mine.smi"
    file.write_text("smiles\nCC(=O)N first\n\nc1ccncc1\n")
    lines, x = molecules(file, "mine.smi", NOTES, 20)
    assert lines == [2, 4] and x.shape == (2, 21)
    assert texts(x, NOTES["alphabet"], "characters") == ["CC(=O)N", "c1ccncc1"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("CC\nC.C\n", "line 2: 'C.C' has a '.'"),
        ("CF\n", "line 1: 'F' is in no training molecule"),
        ("C" * 30, "line 1: .* has 30 symbols; longest is 20"),
        ("C?\n", "line 1: .* has '\\?'"),
    ],
)
def test_a_wrong_molecule_is_named(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.smi"
    file.write_text(text)
    with pytest.raises(ValueError, match=words):
        molecules(file, "mine.smi", NOTES, 20)


def test_a_model_of_molecules_ranks_a_likely_one_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = {"symbols": len(NOTES["alphabet"]), "length": 20, "embedding": 4, "hidden": 8}
    model, paths = made({"kind": "sequence", **kinds}), Paths(tmp_path)
    experiments = {"mine": SimpleNamespace(dataset="set")}
    told = SimpleNamespace(experiments=experiments)
    monkeypatch.setattr(score_lines, "read_settings", lambda path: told)
    (folder := paths.prepared("set")).mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"notes": NOTES}))
    file = tmp_path / "mine.smi"
    file.write_text("C\n" + "CN" * 9 + "\n")
    found = score_lines.score_lines(model, file, "mine.smi", "mine", paths)
    assert found[0][1] > found[1][1]  # an untrained decoder prefers what is short


def test_a_model_of_images_takes_no_text(tmp_path: Path) -> None:
    image = {"kind": "image", "size": 8, "channels": 1, "base": 4, "widths": [4, 3], "sd": 0.3}
    with pytest.raises(ValueError, match="neither rows nor molecules"):
        score_lines.parser(made(image), "faces", Paths(tmp_path))
