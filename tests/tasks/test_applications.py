"""The applications of `apply` that run a learner's own chain, on a tiny untrained model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ebm.learn.maximum_likelihood import MaximumLikelihood
from ebm.stored import save
from tasks import apply
from tasks.artefacts import save_arrays
from tasks.inputs import ApplyInputs
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.pictures import cut
from tasks.regimes import regime

ALL: dict[str, Any] = {
    "interpolate": {"strips": 2, "frames": 4},
    "reconstruct": {"images": 2, "iterations": 20, "rate": 0.05, "other": "stripes"},
    "long_chains": {"chains": 3, "times": 10},
    "moments": {"images": 20, "chains": 12, "long_chains": 6, "times": 3},
    "hopfield": {"chains": 4, "steps": 200},
}
MODEL = {
    "network": {"kind": "convnet", "size": 8, "channels": 1, "width": 4},
    "reference": 0.5,
    "start": {"start": "noise", "noise": "gaussian", "scale": 0.3},
    "sample_from": {"noise": "gaussian", "scale": 0.3},
    "chain": {"steps": 3, "sample_steps": 3, "step_size": 0.1, "noise": 0.05, "bounds": 1.0},
    "data_noise": 0.1,
    "decay": 0.0,
    "optimiser": {"kind": "adam", "rate": 0.001, "momentum": 0.9},
}


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """A project with two data sets and an untrained model."""
    paths = Paths(tmp_path_factory.mktemp("project"))
    for place, (name, size) in enumerate({"noise": 8, "stripes": 8, "large": 4}.items()):
        paths.prepared(name).mkdir(parents=True)
        x = np.random.default_rng(place).uniform(-1, 1, (30, 1, size, size)).astype(np.float32)
        save_arrays(paths.prepared(name) / "train.npz", x=x[:20])
        save_arrays(paths.prepared(name) / "test.npz", x=x[20:])
    model = paths.model("trial", "learn")
    model.mkdir(parents=True)
    torch.manual_seed(0)
    learner = MaximumLikelihood(MaximumLikelihood.Settings.model_validate(MODEL))
    save(model, "maximum_likelihood", learner, learner.networks)
    return paths


def run(paths: Paths, asked: dict[str, Any], seed: int = 3) -> tuple[dict[str, Any], Monitor]:
    monitor = Monitor(paths, "apply", "trial")
    given = {"dataset": "noise", "final": "learn", "threads": 1, "seed": seed, "apply": asked}
    apply.run("trial", None, ApplyInputs.model_validate(given), paths, monitor)
    return json.loads((paths.results("trial") / "apply.json").read_text()), monitor


def values(written: dict[str, Any]) -> dict[str, float]:
    return {row["metric"]: row["value"] for row in written["metrics"]}


def lines(path: Path) -> np.ndarray:
    """Return a sheet's images, (rows, columns, 8, 8), in [-1, 1]."""
    found = cut(np.asarray(Image.open(path).convert("RGB")), 8)[..., 0]
    return found.astype(float) / 127.5 - 1


def test_applications_run_in_their_order_with_all_rows_and_pictures(paths: Paths) -> None:
    written, monitor = run(paths, dict(reversed(ALL.items())))
    assert [row["metric"] for row in written["metrics"]] == [
        "interpolate_largest_step",
        *(f"reconstruct_mse_{each}" for each in ("test", "train", "stripes")),
        "reconstruct_start_size",
        *(
            f"long_chains_{figure}_{side}"
            for side in ("noise", "data")
            for figure in ("contrast", "variety", "saturated", "distance", "score")
        ),
        "moments_gap_short",
        "moments_gap_long",
        *(f"hopfield_{f}_{of}" for f in ("correlation", "error") for of in ("samples", "modes")),
    ]
    there = {path.stem for path in (paths.results("trial") / "apply").iterdir()}
    assert [Path(each).stem for each in monitor.notes["pictures"]] == [
        "interpolate",
        *(f"reconstruct_{each}" for each in ("test", "train", "stripes", "error")),
        *(f"long_chains_{each}" for each in ("noise", "data", "score")),
        "hopfield",
    ]
    assert {Path(each).stem for each in monitor.notes["pictures"]} == there
    for words in (
        "Interpolation:",
        "Reconstruction:",
        "Regime:",
        "Moment matching:",
        "Hopfield check:",
    ):
        assert words in written["protocol"]


def test_metrics_are_those_that_a_list_of_experiments_expects(paths: Paths) -> None:
    from flows.expected import applied

    written, _ = run(paths, ALL)
    assert applied(ALL) == [row["metric"] for row in written["metrics"]]


def test_only_what_is_asked_for_is_run_and_the_same_inputs_give_the_same_bytes(
    paths: Paths,
) -> None:
    both = [run(paths, {"interpolate": ALL["interpolate"]})[0] for _ in range(2)]
    assert both[0] == both[1]
    assert list(values(both[0])) == ["interpolate_largest_step"]
    assert values(run(paths, {"interpolate": ALL["interpolate"]}, seed=4)[0]) != values(both[0])
    there = (paths.results("trial") / "apply").iterdir()
    assert [path.name for path in there] == ["interpolate.png"]
    shown = lines(paths.results("trial") / "apply" / "interpolate.png")
    assert shown.shape == (2, 4, 8, 8)


def test_reconstruction_ends_below_its_start_and_its_picture_ends_with_the_images(
    paths: Paths,
) -> None:
    written, _ = run(paths, {"reconstruct": ALL["reconstruct"]})
    rows = {row["metric"]: row for row in written["metrics"]}
    for name in ("test", "train", "stripes"):
        row = rows[f"reconstruct_mse_{name}"]
        assert 0 < row["value"] < row["ceiling"] and row["samples"] == 2
    compared = {(row["metric"], row["of"]) for row in written["compared"]}
    assert ("reconstruct_mse_test", "untrained network") in compared
    shown = lines(paths.results("trial") / "apply" / "reconstruct_stripes.png")
    right = np.load(paths.prepared("stripes") / "test.npz")["x"][:2, 0]
    np.testing.assert_allclose(shown[-1], right, atol=0.01)
    assert np.square(shown[-2] - right).mean() < np.square(shown[0] - right).mean()


def test_data_of_another_shape_is_refused_before_the_old_results_go(paths: Paths) -> None:
    before = run(paths, {"interpolate": ALL["interpolate"]})[0]
    with pytest.raises(ValueError, match="other is large, whose images are .1, 4, 4.; the model"):
        run(paths, {"reconstruct": {**ALL["reconstruct"], "other": "large"}})
    assert json.loads((paths.results("trial") / "apply.json").read_text()) == before


def test_long_chains_are_pictured_from_their_start_at_powers_of_ten(paths: Paths) -> None:
    written, _ = run(paths, {"long_chains": ALL["long_chains"]})
    assert "30 steps where learning runs 3" in written["protocol"]
    shown = lines(paths.results("trial") / "apply" / "long_chains_data.png")
    assert shown.shape[:2] == (5, 3)  # after 0, 1, 3, 10 and 30 steps
    test = np.load(paths.prepared("noise") / "test.npz")["x"]
    np.testing.assert_allclose(shown[0], test[:3, 0], atol=0.01)
    ends = lines(paths.results("trial") / "apply" / "long_chains_noise.png")[-1]
    row = next(r for r in written["metrics"] if r["metric"] == "long_chains_contrast_noise")
    assert row["value"] == pytest.approx(ends.std(), abs=0.01)
    assert row["ceiling"] == pytest.approx(test.std(), rel=0.01)  # with the noise of learning
    beside = {row["of"] for row in written["compared"]}
    assert beside == {"samples"}


def test_flat_energy_synthesises_nothing_and_the_record_says_so(paths: Paths) -> None:
    """With f = 0 chains are noise of about the data's contrast, from start to end."""
    chain = {**MODEL["chain"], "steps": 5, "sample_steps": 20, "noise": 0.1}
    settings = {**MODEL, "reference": None, "chain": chain}
    flat = MaximumLikelihood(MaximumLikelihood.Settings.model_validate(settings))
    for parameter in flat.networks.parameters():
        torch.nn.init.zeros_(parameter)
    model = paths.model("flat", "learn")
    model.mkdir(parents=True)
    save(model, "maximum_likelihood", flat, flat.networks)
    line = np.where(np.arange(64).reshape(8, 8) % 8 < 4, -0.5, 0.5)
    shift = np.random.default_rng(0).uniform(-0.5, 0.5, (60, 1, 1, 1))
    x = (line + shift).clip(-1, 1).astype(np.float32)
    paths.prepared("lines").mkdir(parents=True)
    save_arrays(paths.prepared("lines") / "train.npz", x=x[:40])
    save_arrays(paths.prepared("lines") / "test.npz", x=x[40:])
    asked = {"long_chains": {"chains": 16, "times": 100}}
    monitor = Monitor(paths, "apply", "flat")
    given = {"dataset": "lines", "final": "learn", "threads": 1, "seed": 3, "apply": asked}
    apply.run("flat", None, ApplyInputs.model_validate(given), paths, monitor)
    found = regime(paths, "flat", ["learn"])
    assert found is not None and found["name"] == "not synthesising"
    assert found["evidence"].startswith("samples, by 20 steps, are unlike any data; chains of 500")
    written = json.loads((paths.results("flat") / "apply.json").read_text())
    assert written["regime"] == found and f"Regime: {found['name']}" in written["protocol"]
    assert monitor.notes["regime"] == found["name"] and monitor.notes["because"]


def test_chains_that_are_not_finite_leave_pictures_and_no_score(paths: Paths) -> None:
    broken = MaximumLikelihood(MaximumLikelihood.Settings.model_validate(MODEL))
    for parameter in broken.networks.parameters():
        torch.nn.init.constant_(parameter, torch.nan)
    model = paths.model("broken", "learn")
    model.mkdir(parents=True)
    save(model, "maximum_likelihood", broken, broken.networks)
    monitor = Monitor(paths, "apply", "broken")
    asked = {"long_chains": ALL["long_chains"]}
    given = {"dataset": "noise", "final": "learn", "threads": 1, "seed": 3, "apply": asked}
    apply.run("broken", None, ApplyInputs.model_validate(given), paths, monitor)
    written = json.loads((paths.results("broken") / "apply.json").read_text())
    assert written["regime"]["name"] == "diverging"
    assert not [name for name in values(written) if "score" in name] and len(values(written)) == 8


def test_moments_stand_beside_chance_and_the_starts(paths: Paths) -> None:
    written, monitor = run(paths, {"moments": ALL["moments"]})
    assert monitor.notes["pictures"] == []
    for row, count in zip(written["metrics"], (12, 6), strict=True):
        assert row["floor"] == pytest.approx((1 / 20 + 1 / count) ** 0.5, rel=1e-4)
        assert row["value"] > 0 and row["ceiling"] > 0
    assert [row["of"] for row in written["compared"]] == ["test images"] * 2


def test_moments_are_of_images_with_the_noise_of_learning(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = values(run(paths, {"moments": ALL["moments"]})[0])
    assert values(run(paths, {"moments": ALL["moments"]})[0]) == before
    monkeypatch.setattr(MaximumLikelihood, "blur", lambda self, x, seeds: x)
    assert values(run(paths, {"moments": ALL["moments"]})[0]) != before


def test_modes_are_what_the_gradient_makes_of_them(paths: Paths) -> None:
    written, _ = run(paths, {"hopfield": ALL["hopfield"]})
    found = values(written)
    assert found["hopfield_error_modes"] < 0.01 < found["hopfield_error_samples"]
    assert found["hopfield_correlation_modes"] > 0.999 > found["hopfield_correlation_samples"]
    beside = [row["of"] for row in written["compared"]]
    assert beside == ["test images"] * 4 + ["where f is linear"]
    shown = lines(paths.results("trial") / "apply" / "hopfield.png")
    assert shown.shape[:2] == (4, 4)
    np.testing.assert_allclose(shown[2], shown[3], atol=0.02)
