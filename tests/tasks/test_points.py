"""Points in the plane go through every stage; wrong settings of them are refused in a sentence."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from ebm.datasets.densities import DENSITIES, density
from ebm.learn.replay import Seen
from tasks import sample
from tasks.__main__ import main
from tasks.artefacts import load_arrays, read_json
from tasks.evaluate_points import STARTS, spread_out
from tasks.inputs import inputs
from tasks.learning_pictures import draw_both_kls, draw_replay
from tasks.paths import Paths
from tasks.point_pictures import draw_chains, draw_densities, draw_samples
from tasks.refusals import SettingsError
from tasks.report import render
from tasks.settings import read, validate

ROOT = Path(__file__).parents[2]
NCE, ML = "contrast-2d-rings-nce", "contrast-2d-rings-persistent"


def tiny() -> dict[str, Any]:
    """The project's settings with two experiments on points cut down to seconds."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["experiments"] = {name: params["experiments"][name] for name in (NCE, ML)}
    params["references"] = {}
    params["datasets"] = {"densities-rings": params["datasets"]["densities-rings"]}
    params["datasets"]["densities-rings"].update(validation=50, test=60)
    params["datasets"]["densities-rings"]["options"].update(count=400)
    for experiment in params["experiments"].values():
        stage = experiment["train"]["learn"]
        stage["fit"].update(updates=4, batch=20, check_every=2, checkpoint_every=2)
        stage["model"]["network"]["widths"] = [8]
        stage["model"]["chain"].update(steps=2, sample_steps=4)
        experiment["sample"] = {"count": 30, "draws": 2, "keep": 2, "shown": 7}
        experiment["evaluate"]["quadrature"] = {"half": 3.0, "cells": 80}
        if "replay" in experiment["evaluate"]:
            experiment["evaluate"]["replay"] = {"shown": [1, 3], "batch": 20, "chains": 5}
    return params


@pytest.fixture
def plane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A folder with tiny settings and the formulas, as the working folder."""
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tiny(), sort_keys=False))
    (tmp_path / "ebm" / "datasets").mkdir(parents=True)
    shutil.copy(ROOT / "ebm/datasets/densities.py", tmp_path / "ebm/datasets")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tasks.__main__.die_with_parent", lambda asker: None)
    return Paths()


def through(name: str) -> None:
    for stage in (["prepare", "densities-rings"], ["train", name, "learn"], ["sample", name]):
        assert main(stage) == 0
    assert main(["evaluate", name]) == 0


@pytest.mark.parametrize("name", [NCE, ML])
def test_points_go_from_prepare_to_report(plane: Paths, name: str) -> None:
    through(name)
    manifest = read_json(plane.prepared("densities-rings") / "manifest.json")
    assert manifest["notes"] == {"density": "rings"} and manifest["shape"] == [2]
    drawn = load_arrays(plane.samples(name) / "samples.npz")
    assert {k: v.shape for k, v in drawn.items()} == {"points": (2, 30, 2)}
    chains = load_arrays(plane.samples(name) / "chains.npz")["points"]
    assert chains.shape == (3, 7, 2)
    assert np.allclose(chains[-1], drawn["points"][0, :7], atol=1e-5)
    metrics = {
        row["metric"]: row for row in read_json(plane.results(name) / "metrics.json")["metrics"]
    }
    assert ("log_z_error" in metrics) == (name == NCE)
    for metric in ("kl_data_model", "kl_model_data"):
        assert metrics[metric]["floor"] == 0 < metrics[metric]["ceiling"]
        assert metrics[metric]["value"] > 0
    assert metrics["energy_distance_test"]["samples"] == 30
    page = render(name, plane).read_text()
    assert '<section id="densities">' in page and "KL(data, model)" in page
    assert '<section id="chains">' not in page and '<section id="copies">' not in page
    assert "25 samples" not in page and "6400 cells" in page
    drawn = {path.stem for path in (plane.results(name) / "evaluate").glob("*.png")}
    watched = {"mode_shifting"} if name == ML else set()
    assert drawn == {"densities", "both_kls"} | watched
    assert page.count('<figure class="plane">') == len(drawn) + 1
    assert ("Mode seeking" in page) == (name == ML) and "Covering" in page
    compared = read_json(plane.results(name) / "metrics.json")["compared"]
    rivals = [r["value"] for r in compared if r["metric"] == "kl_model_data"]
    assert rivals[1] < rivals[0]
    missing = page.partition("What is missing")[2].partition("</section>")[0]
    assert "chains" not in missing and "samples" not in missing


def test_samples_beyond_one_are_kept_as_they_are() -> None:
    x = torch.full((3, 2), 2.5)
    assert torch.equal(sample.bounded(x, "points"), x)
    assert torch.equal(sample.bounded(x[None, None], "grid_2"), torch.ones(1, 1, 3, 2))
    assert sample.key(2, x) == "points" and sample.key(2, x[None, None]) == "grid_2"


def test_search_for_the_nearest_gaussian_starts_all_over_the_data() -> None:
    few, many = torch.arange(6.0).reshape(3, 2), torch.arange(40.0).reshape(20, 2)
    assert torch.equal(spread_out(few), few)
    assert spread_out(many)[:, 0].tolist() == [0, 4, 10, 14, 20, 24, 30, 34]
    assert len(spread_out(many)) == STARTS


def test_pictures_have_the_same_bytes_each_time(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    log_p, points = random.normal(size=(9, 9)), random.normal(size=(4, 20, 2))
    for round_ in ("a", "b"):
        draw_samples(points[0], tmp_path / f"samples-{round_}.png")
        draw_chains(points, 5, tmp_path / f"chains-{round_}.png")
        draw_densities(log_p, -log_p, points[0], 2.0, tmp_path / f"densities-{round_}.png")
        flat = torch.from_numpy(log_p).flatten()
        fitted = {"one": flat, "other": -flat}
        draw_both_kls(flat, fitted, 9, 2.0, tmp_path / f"kls-{round_}.png")
        path = torch.from_numpy(points)
        seen = [Seen(n, path, path[0], flat, -flat, 0.5, 0.1, -0.1) for n in (1, 20)]
        draw_replay(seen, 9, 2.0, 5, tmp_path / f"shifting-{round_}.png")
    for kind in ("samples", "chains", "densities", "kls", "shifting"):
        first, second = ((tmp_path / f"{kind}-{r}.png").read_bytes() for r in "ab")
        assert first == second and len(first) > 1000


def test_points_are_evaluated_with_their_model_and_images_without() -> None:
    params = read(ROOT / "params.yaml")
    assert inputs(params, "evaluate", NCE).final == "learn"
    assert not hasattr(inputs(params, "evaluate", "multigrid-digits"), "final")


def refused(of: str = NCE, **changes: Any) -> str:
    content = tiny()
    for key, value in changes.items():
        place: Any = content["experiments"][of]
        *path, last = key.split("__")
        for step in path:
            place = place[step]
        if value is None:
            del place[last]
        else:
            place[last] = value
    with pytest.raises(SettingsError) as caught:
        validate(content)
    text = str(caught.value)
    assert "\n" not in text and f"experiments.{of}" in text
    return text


def test_wrong_settings_of_points_are_refused_in_one_sentence() -> None:
    assert "evaluate.quadrature is missing, and x is a point" in refused(evaluate__quadrature=None)
    assert "evaluate.quadrature.cells is 1;" in refused(evaluate__quadrature__cells=1)
    assert "evaluate.quadrature.cels" in refused(evaluate__quadrature__cels=9)
    assert "networks is of images" in refused(evaluate__networks=["cnn"])
    classify = {"labels": [20], "draws": 2, "strengths": [0.1]}
    assert "classify is given, and x is a point" in refused(classify=classify)
    convnet = {"kind": "convnet", "size": 4, "channels": 1, "width": 2}
    assert "x is an image; it needs (2,)" in refused(train__learn__model__network=convnet)
    cube = {"kind": "mlp", "dim": 3, "widths": [4], "scale": 1.0}
    assert "x is of shape (3,); it needs (2,)" in refused(train__learn__model__network=cube)


def test_replay_that_cannot_be_is_refused_in_one_sentence() -> None:
    asked = {"shown": [1, 5], "batch": 20, "chains": 5}
    assert "the learner has no chains while it learns" in refused(evaluate__replay=asked)
    assert "give each update once, in order" in refused(ML, evaluate__replay__shown=[5, 1])
    assert "chains is 21, of a batch of 20" in refused(ML, evaluate__replay__chains=21)
    assert "start.chains, 400, is the most" in refused(ML, evaluate__replay__batch=401)
    assert "evaluate.replay.shown.0 is 0" in refused(ML, evaluate__replay__shown=[0])


def test_suite_has_every_learner_on_every_density_and_they_differ_in_nothing_else() -> None:
    """But for the step, which goes with the width of the finest structure."""
    experiments = yaml.safe_load((ROOT / "params.yaml").read_text())["experiments"]
    suite = {name: e for name, e in experiments.items() if name.startswith("contrast-2d-")}
    learners, densities = ["nce", "persistent", "cd", "shortrun"], list(DENSITIES)
    assert set(suite) == {f"contrast-2d-{d}-{way}" for d in densities for way in learners}
    for way in learners:
        same = []
        for of in densities:
            experiment = suite[f"contrast-2d-{of}-{way}"]
            assert experiment.pop("dataset") == f"densities-{of}" and experiment.pop("about")
            chain = experiment["train"]["learn"]["model"]["chain"]
            assert 0.2 < chain.pop("step_size") / density(of).sd ** 2 < 0.35
            same.append(experiment)
        assert all(each == same[0] for each in same)


def test_data_of_one_kind_and_learner_of_another_are_refused_in_one_sentence() -> None:
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["experiments"][NCE]["dataset"] = "digits"
    with pytest.raises(SettingsError, match="dataset is digits, whose items are images"):
        validate(content)


def test_box_that_does_not_hold_the_data_is_refused_before_anything_is_written(
    plane: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    through(NCE)
    text = (plane.root / "params.yaml").read_text()
    (plane.root / "params.yaml").write_text(text.replace("half: 3.0", "half: 1.0"))
    before = (plane.results(NCE) / "metrics.json").read_bytes()
    assert main(["evaluate", NCE]) == 1
    assert "the box of half side 1.0" in capsys.readouterr().err
    assert (plane.results(NCE) / "metrics.json").read_bytes() == before
