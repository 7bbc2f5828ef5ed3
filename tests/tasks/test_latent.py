"""Latent-space models go through every stage, and find anomalies."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tasks.__main__ import main
from tasks.artefacts import load_arrays, read_json, save_arrays, write_json
from tasks.paths import Paths
from tasks.refusals import SettingsError
from tasks.settings import read, validate

ROOT = Path(__file__).parents[2]
FIT = {"updates": 4, "batch": 8, "check_every": 2, "checkpoint_every": 2}


def tiny() -> dict[str, Any]:
    """The project's settings with a latent-space model, and one of anomalies, cut to seconds."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    names = ("latent-mnist-2d", "anomaly-mnist-4")
    params["experiments"] = {name: params["experiments"][name] for name in names}
    params["references"] = {}
    sets = ("mnist", "mnist-without-4")
    params["datasets"] = {name: params["datasets"][name] for name in sets}
    for experiment in params["experiments"].values():
        for stage in (each for each in experiment["train"].values() if "like" not in each):
            stage["fit"].update(FIT)
            model = stage["model"]
            model["decoder"].update(size=8, widths=[8])
            model["prior"]["chain"].update(steps=2, sample_steps=4)
            model["posterior"]["chain"].update(steps=2, sample_steps=4)
            model["posterior"]["encoder"]["network"].update(size=8, width=4, widest=4)
    latent, anomaly = (params["experiments"][name] for name in names)
    latent["sample"] = {"count": 40, "draws": 2, "keep": 2, "shown": 9}
    latent["evaluate"] = {"against": "test", "networks": ["pixels"]}
    latent["apply"]["latent"].update(
        **{"images": 12, "shown": 3, "strips": 2, "frames": 3},
        **{"long": {"chains": 3, "steps": 40}, "likelihood": {"images": 4, "draws": 8}},
    )
    anomaly["train"] = {key: anomaly["train"][key] for key in ("seed-0", "seed-1")}
    models = ["seed-0", "seed-1"]
    anomaly["evaluate"] = {"against": "test", "models": models, "gallery": 5}
    return params


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A folder with tiny settings and prepared data, as the working folder."""
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tiny(), sort_keys=False))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tasks.__main__.die_with_parent", lambda asker: None)
    paths, random = Paths(), np.random.default_rng(0)
    for name in ("mnist", "mnist-without-4"):
        place = paths.prepared(name)
        place.mkdir(parents=True)
        for part, count in {"train": 40, "validation": 20, "test": 30}.items():
            x = random.uniform(-1, 1, (count, 1, 8, 8)).astype(np.float32)
            y = random.integers(0, 10, count) if part == "test" else np.zeros(count, int)
            save_arrays(place / f"{part}.npz", x=x, y=y)
        write_json(place / "manifest.json", {"classes": 10, "notes": {"digit": 4, "split_a": 25}})
    return paths


def test_a_latent_space_model_goes_from_train_to_apply(folder: Paths) -> None:
    name = "latent-mnist-2d"
    for stage in (["train", name, "learn"], ["sample", name], ["evaluate", name], ["apply", name]):
        assert main(stage) == 0
    drawn = load_arrays(folder.samples(name) / "samples.npz")["grid_8"]
    assert drawn.shape == (2, 40, 1, 8, 8)
    found = read_json(folder.results(name) / "apply.json")
    metrics = {row["metric"] for row in found["metrics"]}
    assert {"latent_mse", "latent_hole_mse_block", "latent_log_likelihood"} <= metrics
    assert {"latent_long_spread", "latent_long_contrast"} <= metrics
    of = {row["of"] for row in found["compared"] if row["metric"] == "latent_mse"}
    assert of == {"principal components"}
    pictures = {path.stem for path in (folder.results(name) / "apply").glob("*.png")}
    assert {"latent_landscape", "latent_ways", "latent_long", "latent_hole_half"} <= pictures


def test_anomalies_are_scored_by_each_seed_and_ranked_on_both_splits(folder: Paths) -> None:
    name = "anomaly-mnist-4"
    for stage in (["train", name, "seed-0"], ["train", name, "seed-1"], ["sample", name]):
        assert main(stage) == 0
    scores = load_arrays(folder.samples(name) / "scores.npz")
    assert {"seed-0_joint", "seed-1_error", "seed-1_prior", "components", "y"} <= set(scores)
    whole = scores["seed-0_error"] + scores["seed-0_prior"]
    assert np.allclose(scores["seed-0_joint"], whole, rtol=1e-4)
    assert not np.array_equal(scores["seed-0_joint"], scores["seed-1_joint"])
    assert main(["evaluate", name]) == 0
    rows = {
        row["metric"]: row for row in read_json(folder.results(name) / "metrics.json")["metrics"]
    }
    assert rows["anomaly_ap_a"]["samples"] == 25 and rows["anomaly_ap_b"]["samples"] == 30
    assert rows["anomaly_ap_a"]["seeds"] == 2
    pictures = {path.stem for path in (folder.results(name) / "evaluate").glob("*.png")}
    assert pictures == {"strangest", "most_normal", "precision_recall"}


def test_latent_stands_alone_and_needs_a_learner_with_z() -> None:
    params = tiny()
    latent = params["experiments"]["latent-mnist-2d"]
    latent["apply"]["interpolate"] = {"strips": 1, "frames": 3}
    with pytest.raises(SettingsError, match="latent, which stands alone"):
        validate(params)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["experiments"]["multigrid-digits"]["apply"] = {"latent": latent["apply"]["latent"]}
    with pytest.raises(SettingsError, match="learner multigrid has no latent z"):
        validate(params)


def test_stage_may_have_a_seed_of_its_own() -> None:
    params = read(ROOT / "params.yaml")
    stages = params.experiments["anomaly-mnist-4"].train
    assert [stage.seed for stage in stages.values()] == [0, 1, 2, 3, 4]
    assert params.experiments["multigrid-digits"].train["grid-8"].seed is None


def test_what_chains_infer_cannot_be_fine_tuned() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    classify = params["experiments"]["multigrid-mnist"]["classify"]
    assert classify["fine_tune"]
    params["experiments"]["latent-mnist"]["classify"] = classify
    with pytest.raises(SettingsError, match="classify.fine_tune is given, and the learner latent"):
        validate(params)
