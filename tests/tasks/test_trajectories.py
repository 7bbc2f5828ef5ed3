"""Trajectories go through every stage, and a file of positions is forecast or refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ebm.metrics.displacement import independent
from flows.expected import expected
from tasks.__main__ import main
from tasks.artefacts import load_arrays, read_json
from tasks.forecast import about, forecast
from tasks.on_files import open_model
from tasks.paths import Paths
from tasks.refusals import SettingsError
from tasks.report import render
from tasks.settings import validate
from tasks.trajectory_pictures import Fan, draw_fans

ROOT = Path(__file__).parents[2]
NAME, DATA = "trajectory-eth", "eth-ucy-eth"


def tiny() -> dict[str, Any]:
    """The project's settings with one experiment, on two seeds, cut down to seconds."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    experiment = params["experiments"][NAME]
    stage = experiment["train"]["learn"]
    stage["fit"].update(updates=4, batch=8, check_every=2, checkpoint_every=2)
    stage["model"]["forecast"].update(code=3, latent=2, widths=[6], energy=[5])
    stage["model"]["chain"].update(steps=2, sample_steps=4)
    experiment["train"] = {"learn": stage, "again": {**stage, "seed": 1}}
    experiment["sample"] = {"count": 5, "draws": 2, "keep": 2, "shown": 2}
    experiment["evaluate"].update(models=["learn", "again"], candidates=7)
    data = params["datasets"][DATA]
    data.update(validation=6, test=9)
    return {"datasets": {DATA: data}, "references": {}, "experiments": {NAME: experiment}}


def walks(path: Path, agents: int, seed: int) -> None:
    """Write agents who walk steadily over 23 frames."""
    random = np.random.default_rng(seed)
    start, step = random.normal(size=(agents, 2)), 0.4 * random.normal(size=(agents, 2))
    lines = [
        f"{10 * t}\t{a}\t{x:.4f}\t{y:.4f}"
        for t in range(23)
        for a, (x, y) in enumerate(start + t * step)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """A folder in which every stage has run."""
    folder = tmp_path_factory.mktemp("scene")
    params = json.loads(json.dumps(tiny()))  # nothing twice: YAML would write an alias
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    for part, agents in (("train", 6), ("val", 2), ("test", 3)):
        walks(folder / "data/raw/eth_ucy/eth" / part / "a.txt", agents, agents)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("tasks.__main__.die_with_parent", lambda asker: None)
        trained = [["train", NAME, "learn"], ["train", NAME, "again"]]
        for stage in (["prepare", DATA], *trained, ["sample", NAME], ["evaluate", NAME]):
            assert main(stage) == 0, stage
    return Paths(folder)


def test_trajectories_go_from_prepare_to_report(scene: Paths) -> None:
    manifest = read_json(scene.prepared(DATA) / "manifest.json")
    assert manifest["shape"] == [20, 2] and manifest["notes"]["unit"] == "m"
    assert manifest["sizes"] == {"test": 9, "validation": 6, "train": 24}
    drawn = load_arrays(scene.samples(NAME) / "samples.npz")
    assert drawn["test.learn.way"].shape == (2, 9, 5, 12, 2)
    assert drawn["validation.again.plan"].shape == (2, 6, 5, 4, 2)
    assert drawn["test.gaussian.way"].dtype == np.float32
    assert drawn["test.spread.way"].shape == (2, 9, 5, 12, 2)
    scores = read_json(scene.results(NAME) / "metrics.json")
    rows = {row["metric"]: row for row in scores["metrics"]}
    assert list(rows) == expected(tiny()["experiments"][NAME])
    assert rows["ade_5_independent"]["seeds"] == 2 and rows["ade_5_independent"]["samples"] == 9
    of = {r["of"]: r["value"] for r in scores["compared"] if r["metric"] == "fde_5_by_plan"}
    assert of["constant velocity, one prediction"] < 1e-3
    assert [sum(word in name for name in of) for word in ("best on", "first seed")] == [2, 1]
    assert render(NAME, scene).read_text().count('<figure class="plane">') == 2


def test_figures_can_be_computed_again_from_what_is_kept(scene: Paths) -> None:
    drawn = load_arrays(scene.samples(NAME) / "samples.npz")
    truth = load_arrays(scene.prepared(DATA) / "test.npz")["x"][:, 8:]
    rows = read_json(scene.results(NAME) / "metrics.json")["metrics"]
    values = [
        independent(way, truth).ade.mean()
        for model in ("learn", "again")
        for way in drawn[f"test.{model}.way"]
    ]
    assert rows[0]["value"] == pytest.approx(np.mean(values), rel=1e-4)


def told(scene: Paths, text: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(scene.root)
    (scene.root / "walk.csv").write_text(text)
    model, out = open_model(NAME, scene), scene.root / "out.png"
    file, known = scene.root / "walk.csv", about(NAME, scene)
    return list(forecast(model, file, "walk.csv", out, count=3, seed=0, about=known))


def lines(agents: int, frames: int, speed: float = 0.3) -> list[str]:
    return [f"{10 * t},{a},{speed * t},{a}" for t in range(frames) for a in range(agents)]


def test_file_is_forecast_for_who_is_seen_last(
    scene: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = ["60,9,5,5", "70,9,5,5"]
    found = told(scene, "\n".join(["frame,agent,x,y", *lines(2, 8), *late]), monkeypatch)
    assert found == ["left out: walk.csv, line 19: agent 9 is seen in 2 frames; it takes 8"]
    table = (scene.root / "out.csv").read_text().splitlines()
    assert table[0] == "agent,prediction,frame,x,y" and len(table) == 1 + 2 * 3 * 12
    assert table[1].startswith("0,1,80,") and table[-1].startswith("1,3,190,")
    assert (scene.root / "out.png").stat().st_size > 1000
    alone = told(scene, "\n".join(lines(1, 9)), monkeypatch)
    assert alone == ["agent 0 is alone: nobody beside it could be looked at"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([x for x in lines(2, 9) if not x.startswith("50,1,")], "line 13: agent 1 is in frame 60"),
        (
            lines(2, 9) + ["80,1,0,0"],
            "line 19: agent 1 is in frame 80 a second time, after line 18",
        ),
        (lines(1, 9, 30.0), "agent 0 moves 30 up to frame 20; in the training data a step is"),
        (lines(2, 5), "nobody to forecast: walk.csv, line 9: agent 0 is seen in 5 frames"),
        (["0,1,2"], "line 1 has 3 fields"),
    ],
)
def test_wrong_file_is_refused_by_its_line(
    scene: Paths, wrong: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r"walk\.csv.*") as caught:
        told(scene, "\n".join(wrong), monkeypatch)
    assert said in str(caught.value)


def test_who_hardly_moves_is_forecast_with_a_word_on_units(
    scene: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = told(scene, "\n".join(lines(2, 9, 1e-4)), monkeypatch)
    assert len(found) == 1 and "if they walk, positions are in other units" in found[0]


def test_fans_have_the_same_bytes_each_time(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    fan = Fan(
        random.normal(size=(8, 2)), random.normal(size=(12, 2)), random.normal(size=(3, 12, 2))
    )
    for name in ("a", "b"):
        draw_fans([fan] * 3, ["x"] * 3, random.normal(size=(1, 2)) * 0, tmp_path / f"{name}.png", 2)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_models_that_are_no_stages_are_refused() -> None:
    for models, said in (
        (["learn", "other"], "evaluate.models has 'other'; the training stages are learn, again"),
        (["again", "learn"], "final is 'learn'; evaluate.models must begin with it"),
        (["learn", "learn"], "name each training stage once"),
    ):
        content = tiny()
        content["experiments"][NAME]["evaluate"]["models"] = models
        with pytest.raises(SettingsError, match=said):
            validate(content)


def test_graph_has_every_model_that_is_judged() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())["experiments"]
    graph = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    rows = [
        row
        for name, each in graph.items()
        if name.startswith("train")
        for row in each["foreach"].values()
    ]
    trained = {(row["name"], row["stage"]) for row in rows if isinstance(row, dict)}
    sampled = graph["sample-trajectories"]
    assert "models/${key}" in sampled["do"]["deps"]
    judged = {(name, m) for name in sampled["foreach"] for m in params[name]["evaluate"]["models"]}
    assert judged <= trained and len(judged) >= 3 * len(sampled["foreach"])
