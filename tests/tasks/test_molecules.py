"""Molecules go through every stage; wrong settings of them are refused in a sentence."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ebm.metrics.properties import PROPERTIES
from tasks import evaluate_molecules
from tasks.__main__ import main
from tasks.artefacts import load_arrays, read_json
from tasks.evaluate_molecules import SHARES, Sets
from tasks.inputs import inputs
from tasks.molecule_pictures import draw_molecules, draw_properties
from tasks.paths import Paths
from tasks.refusals import SettingsError
from tasks.report import render
from tasks.settings import read, validate

pytest.importorskip("rdkit")

ROOT = Path(__file__).parents[2]
NAME = "molecules-zinc"
CHAINS = ["C" * n for n in range(1, 9)]  # every string of C and O is some molecule
LINES = [chain[:i] + "O" + chain[i:] for chain in CHAINS for i in range(len(chain))]


def tiny() -> dict[str, Any]:
    """The project's settings with one experiment on molecules cut down to seconds."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["experiments"] = {NAME: params["experiments"][NAME]}
    params["references"] = {}
    params["datasets"] = {"zinc250k": params["datasets"]["zinc250k"]}
    params["datasets"]["zinc250k"].update(validation=4, test=6)
    params["datasets"]["zinc250k"]["options"] = {"symbols": "atoms", "longest": 9, "items": 20}
    experiment = params["experiments"][NAME]
    stage = experiment["train"]["learn"]
    stage["fit"].update(updates=4, batch=5, warm_up=0, check_every=2, checkpoint_every=2)
    model = stage["model"]
    model["latent"], model["prior"]["widths"] = 3, [4]
    model["decoder"].update(symbols=4, length=10, embedding=3, hidden=8)
    experiment["sample"] = {"count": 30, "draws": 2, "keep": 2, "shown": 7, "cooler": [0.5]}
    experiment["evaluate"]["molecules"] = {"chemnet": 513, "properties": 5, "inferred": 4}
    return params


@pytest.fixture
def molecules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A folder with tiny settings and raw files, as the working folder."""
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tiny(), sort_keys=False))
    raw = tmp_path / "data" / "raw" / "zinc250k"
    raw.mkdir(parents=True)
    (raw / "zinc250k.smi").write_text("\n".join(LINES) + "\n")
    part = {"test_first_n": 6, "valid_idx": [8, 9, 10, 11]}
    (raw / "splits.json").write_text(json.dumps({"jtvae": part}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tasks.__main__.die_with_parent", lambda asker: None)
    return Paths()


def test_every_stage_leaves_what_it_should(molecules: Paths) -> None:
    assert main(["prepare", "zinc250k"]) == 0
    assert main(["train", NAME, "learn"]) == 0
    assert main(["sample", NAME]) == 0
    found = load_arrays(molecules.samples(NAME) / "samples.npz")
    assert {key: x.shape for key, x in found.items()} == {
        "molecules": (2, 30, 10),
        "without_f": (30, 10),
        "without_z": (30, 10),
        "cooler_0.5": (30, 10),
    }
    assert all(x.dtype == np.uint8 for x in found.values())
    assert main(["evaluate", NAME]) == 0
    scores = read_json(molecules.results(NAME) / "metrics.json")
    rows = {row["metric"]: row for row in scores["metrics"]}
    distances = {f"distance_{name}" for name in PROPERTIES}
    assert set(rows) == {*SHARES, "unique_of_valid_pooled", *distances, "nats_inferred"}
    assert rows["valid"]["samples"] == 30 and rows["valid"]["seeds"] == 2
    assert rows["novel_of_all"]["value"] <= rows["unique_of_all"]["value"] <= 1
    compared = {(row["metric"], row["of"]) for row in scores["compared"]}
    assert {("valid", "decoded at temperature 0.5")} <= compared
    assert {("valid", "f = 0: z ~ N(0, I)"), ("valid", "z = 0")} <= compared
    assert {("nats_inferred", "z of another molecule")} <= compared
    for picture in ("samples/molecules.png", "evaluate/properties.png"):
        assert (molecules.results(NAME) / picture).is_file()
    assert "Properties of molecules" in render(NAME, molecules).read_text()


def test_validation_figures_are_named_so(molecules: Paths) -> None:
    params = tiny()
    params["experiments"][NAME]["evaluate"]["against"] = "validation"
    (molecules.root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    for arguments in (["prepare", "zinc250k"], ["train", NAME, "learn"]):
        assert main(arguments) == 0
    assert main(["sample", NAME]) == main(["evaluate", NAME]) == 0
    scores = read_json(molecules.results(NAME) / "metrics.json")
    assert all(row["metric"].endswith("_validation") for row in scores["metrics"])


def test_draw_without_a_valid_molecule_is_refused() -> None:
    notes = {"alphabet": ["C", "("], "symbols": "atoms"}
    good, bad = np.uint8([[2, 1]]), np.uint8([[3, 1]])
    drawn = {"molecules": np.stack([good, bad]), "without_f": good, "without_z": bad}

    class Quiet:
        def progress(self, *told: Any) -> None: ...

    with pytest.raises(ValueError, match="draw 1 has no valid molecule among 1 strings"):
        evaluate_molecules.read(drawn, good, good, notes, Quiet())  # type: ignore[arg-type]


def test_fcd_is_of_equal_counts_or_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    monkeypatch.setattr(
        evaluate_molecules, "activations", lambda s, tell: random.normal(size=(len(s), 512))
    )
    names = [f"C{n}" for n in range(700)]
    draws: list[list[str | None]] = [[*names, None], [None, *names]]
    sets = Sets(draws, {"f = 0": [*names], "z = 0": [None]}, names, names)
    asked = inputs(validate(tiny()), "evaluate", NAME).evaluate.molecules
    said: list[str] = []

    class Quiet:
        def progress(self, *told: Any) -> None: ...

        def say(self, text: str) -> None:
            said.append(text)

    asked = asked.model_copy(update={"chemnet": 600})
    (row,), compared = evaluate_molecules.of_chemnet(sets, asked, Quiet())  # type: ignore[arg-type]
    assert row["metric"] == "fcd_600" and row["seeds"] == 2 and row["samples"] == 600
    without_z = next(each for each in compared if each["of"] == "z = 0")
    assert without_z["value"] is None
    asked = asked.model_copy(update={"chemnet": 701})
    longer = sets._replace(held=[*names, "C", "CC"])
    assert evaluate_molecules.of_chemnet(longer, asked, Quiet()) == ([], [])  # type: ignore[arg-type]
    assert "chemnet is 701, and a draw has 700 valid molecules or the held-out" in said[0]


def test_pictures_have_the_same_bytes(tmp_path: Path) -> None:
    data = {name: np.linspace(0, 1, 50) for name in PROPERTIES}
    for name in ("one.png", "two.png"):
        draw_molecules(["CCO", "C(", "c1ccccc1"], tmp_path / f"molecules-{name}")
        draw_properties(data, data, "test", tmp_path / f"properties-{name}")
    for kind in ("molecules", "properties"):
        one, two = ((tmp_path / f"{kind}-{n}.png").read_bytes() for n in ("one", "two"))
        assert one == two


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"molecules": {"chemnet": 512, "properties": 5, "inferred": 4}}, "chemnet"),
        ({"networks": ["cnn"]}, "networks"),
        ({"against": "train"}, "against"),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_name(change: dict[str, Any], why: str) -> None:
    params = tiny()
    params["experiments"][NAME]["evaluate"].update(change)
    with pytest.raises(SettingsError, match=rf"experiments.{NAME}.evaluate.*{why}"):
        validate(params)


def test_data_of_another_kind_are_refused() -> None:
    params = tiny()
    params["datasets"]["zinc250k"] = yaml.safe_load((ROOT / "params.yaml").read_text())["datasets"][
        "digits"
    ]
    with pytest.raises(SettingsError, match="whose items are images"):
        validate(params)


def test_the_projects_settings_are_read() -> None:
    asked = inputs(read(ROOT / "params.yaml"), "evaluate", NAME)
    assert asked.evaluate.networks == []
