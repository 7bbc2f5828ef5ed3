"""The page of a training stage that diverged, from what it left."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ebm.fit import fit
from ebm.health import Diverged, Verdict, advice
from ebm.learn import learner_class
from ebm.learner import FitSettings
from tasks import broken
from tasks.artefacts import load_arrays, read_json
from tasks.inputs import TrainInputs, inputs
from tasks.paths import Paths
from tasks.report.post_mortem import changes, render, stage, written
from tasks.settings import read

ROOT = Path(__file__).parents[2]
FRESH = {"noise": "gaussian", "scale": 1.0}
PERSISTENT: dict[str, Any] = {
    "network": {"kind": "mlp", "dim": 2, "widths": [8], "scale": 1.0},
    "reference": None,
    "start": {"start": "persistent", "chains": 16, "rejuvenation": 0.0, **FRESH},
    "sample_from": FRESH,
    "chain": {"steps": 5, "sample_steps": 5, "step_size": 0.1, "temperature": 1.0},
    "data_noise": 0.0,
    "decay": 0.0,
    "optimiser": {"kind": "sgd", "rate": 1e3, "momentum": 0.0},
}
FIT: dict[str, Any] = {
    **{"updates": 20, "batch": 8, "average": 0.9, "final_rate": 1.0, "check_every": 1},
    **{"checkpoint_every": 1, "gap_limit": 20.0, "rollbacks": 0, "slow_down": 1.0},
}
EVIL = '<script>alert("1")</script>'


def settings() -> TrainInputs:
    found = inputs(read(ROOT / "params.yaml"), "train", "multigrid-digits", "grid-8")
    assert isinstance(found, TrainInputs)
    return found


def diverged(cause: str = "gap", reason: str = "the gap exploded") -> Diverged:
    events = [{"step": step, "back_to": 2, "reason": reason} for step in (3, 9, 4)]
    figures = ("f_data", "f_samples", "gap", "strength", "movement", "sd_data", "sd_samples")
    curves = {f"8/{name}": [0.1, 0.2, 0.4, math.nan] for name in figures}
    verdict = Verdict("diverging", reason, cause)
    return Diverged(
        "it broke",
        curves=curves,
        events=events,
        verdict=verdict,
        advice=advice(cause, settings().train.model),
        good={"at": -0.5},
        broken=["networks.8.head.weight"],
    )


class Stub:
    """Draws images whose value is its state."""

    at = 0.5

    def __init__(self, *shape: int) -> None:
        self.shape = shape

    def sample(self, seeds: list[int]) -> dict[int, list[Tensor]]:
        return {
            1: [torch.zeros(len(seeds), 1)],
            8: [torch.zeros(len(seeds), *self.shape) + self.at],
        }

    def state_dict(self) -> dict[str, Any]:
        return {"at": self.at}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.at = state["at"]


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broken, "draw", lambda *args: "drawn later")


def left(at: Path, error: Diverged, *shape: int) -> Path:
    told = broken.leave(error, Stub(*shape), "tiny", "grid-8", settings(), Paths(at))
    assert told == "drawn later"
    return at / ".work" / "broken" / "tiny" / "grid-8"


@pytest.mark.usefixtures("quiet")
def test_page_shows_the_curves_both_pictures_the_tensor_and_what_to_change(tmp_path: Path) -> None:
    folder = left(tmp_path, diverged(), 1, 8, 8)
    arrays = load_arrays(folder / "pictures.npz")
    assert np.all(arrays["broken"] == 0.5) and np.all(arrays["good"] == -0.5)
    page = render("tiny", "grid-8", Paths(tmp_path))
    text = page.read_text()
    assert page == folder / "post-mortem.html"
    for part in (
        "Samples at the last good state",
        "Samples at the break",
        "networks.8.head.weight",
    ):
        assert part in text, part
    assert text.count("data:image/webp") == 2 and 'id="curves-data"' in text
    assert "Rolled back to 2" in text and "a smaller rate" in text
    assert "ebm run tiny --set train.grid-8.model.grids.0.rate=" in text


@pytest.mark.usefixtures("quiet")
def test_page_stands_alone_and_escapes_what_it_is_told(tmp_path: Path) -> None:
    left(tmp_path, diverged(reason=EVIL), 1, 8, 8)
    text = render("tiny", "grid-8", Paths(tmp_path)).read_text()
    assert EVIL not in text and "&lt;script&gt;" in text
    for outside in ('src="http', 'href="http', "url(http", "@import"):
        assert outside not in text


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("shape", [(3,), (5, 4, 4)], ids=["vectors", "features"])
def test_learner_without_images_and_points_has_no_pictures(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    folder = left(tmp_path, diverged(), *shape)
    assert not load_arrays(folder / "pictures.npz")
    assert "The last pictures" not in render("tiny", "grid-8", Paths(tmp_path)).read_text()


@pytest.mark.usefixtures("quiet")
def test_points_that_are_finite_are_scattered(tmp_path: Path) -> None:
    error = diverged()
    error.good = {"at": torch.tensor([1.0, torch.nan])}
    folder = left(tmp_path, error, 2)
    arrays = load_arrays(folder / "pictures.npz")
    assert arrays["broken"].shape == (500, 2) and arrays["good"].shape == (0, 2)
    text = render("tiny", "grid-8", Paths(tmp_path)).read_text()
    assert "The last pictures" in text and text.count("data:image/webp") == 2


@pytest.mark.usefixtures("quiet")
def test_persistent_chains_of_the_last_good_state_are_shown_as_they_were(tmp_path: Path) -> None:
    """A broken run of a learner whose chains persist, from `fit` to the page."""
    kind = learner_class("maximum_likelihood")
    torch.manual_seed(0)
    learner = kind(kind.Settings.model_validate(PERSISTENT))
    with pytest.raises(Diverged) as caught:
        fit(learner, torch.rand(40, 2), FitSettings.model_validate(FIT), seed=1)
    error = caught.value
    folder = tmp_path / ".work" / "broken" / "tiny" / "grid-8"
    broken.leave(error, learner, "tiny", "grid-8", settings(), Paths(tmp_path))
    arrays, states = load_arrays(folder / "pictures.npz"), error.good["chains"]["states"]
    assert np.array_equal(arrays["good_chains"], states.numpy())
    assert not np.array_equal(arrays["broken_chains"], states.numpy())
    text = render("tiny", "grid-8", Paths(tmp_path)).read_text()
    assert "Persistent chains at the last good state" in text
    assert text.index("Persistent chains at the last") < text.index("Samples at the last")


@pytest.mark.usefixtures("quiet")
def test_samples_that_are_not_finite_are_grey(tmp_path: Path) -> None:
    error = diverged()
    error.good = {"at": math.nan}
    arrays = load_arrays(left(tmp_path, error, 1, 8, 8) / "pictures.npz")
    assert np.all(arrays["good"] == 0)


@pytest.mark.usefixtures("quiet")
def test_rollbacks_are_marked_where_the_curves_reach_them_and_the_break_is_none(
    tmp_path: Path,
) -> None:
    facts = read_json(left(tmp_path, diverged(), 1, 8, 8) / "facts.json")
    drawn = stage(facts, {"step": [1.0, 2.0, 3.0, 4.0], "8/gap": [0.1, 0.2, 0.4, math.nan]})
    assert [event["step"] for event in drawn["events"]] == [3]


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("cause", "first"),
    [
        ("data", "python -m tasks prepare digits"),
        ("chain", "ebm run tiny --set train.grid-8.model.grids.0.step_size="),
        ("parameter", "ebm run tiny --set train.grid-8.model.grids.0.rate="),
    ],
)
def test_command_to_go_on_changes_what_the_cause_asks_for(
    tmp_path: Path, cause: str, first: str
) -> None:
    facts = read_json(left(tmp_path, diverged(cause), 1, 8, 8) / "facts.json")
    assert next(changes(facts, "grid-8")).startswith(first)


def test_a_stage_that_is_like_another_is_changed_where_its_settings_stand(tmp_path: Path) -> None:
    facts = {"experiment": "a", "cause": "chain", "part": "seed-1"}
    facts["settings"] = {"train": {"model": {"chain": {"step_scale": 0.02, "steps": 5}}}}
    (tmp_path / "params.yaml").write_text(
        "experiments: {a: {train: {seed-0: {model: 1}, seed-1: {like: seed-0}}}}"
    )
    part = written("a", "seed-1", Paths(tmp_path))
    assert list(changes(facts, part)) == [
        "ebm run a --set train.seed-0.model.chain.step_scale=0.005"
    ]
    assert written("b", "learn", Paths(tmp_path)) == "learn"


def test_page_that_cannot_be_drawn_here_is_told_by_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broken.sys, "executable", "/nowhere/python")
    told = broken.draw("tiny", "grid-8", Paths(tmp_path))
    assert told == "`python -m tasks.report.post_mortem tiny grid-8` draws what happened"
