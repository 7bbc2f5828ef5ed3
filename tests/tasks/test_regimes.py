"""Tiny models trained to each of the regimes, end to end: what the judge of long chains says."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ebm.health import Diverged
from ebm.learn.maximum_likelihood_settings import MaximumLikelihoodSettings
from tasks import apply, train
from tasks.apply_settings import LongChainsSettings
from tasks.artefacts import save_arrays, write_json
from tasks.inputs import ApplyInputs, TrainInputs
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.regimes import regime
from tasks.scratch import Scratch

COUNT = 1400
NOISE = {"noise": "gaussian", "scale": 0.3}
PERSISTENT = {"start": "persistent", "chains": 300, "rejuvenation": 0.05, **NOISE}
SHORT = {"start": "noise", **NOISE}
COLD = {"noise": 0.01, "bounds": 1.0}  # next to no noise beside the drift
FIT = {"batch": 64, "average": 0.9, "final_rate": 0.1, "check_every": 1, "checkpoint_every": 100}
JUDGED = {"gap_limit": 50.0, "rollbacks": 1, "slow_down": 0.5}


def rings() -> np.ndarray:
    """Images of 2x2 pixels, (COUNT, 1, 2, 2), that lie near a ring in a plane of their space."""
    draws = np.random.default_rng(0)
    turn = draws.uniform(0, 2 * math.pi, COUNT)
    u, v = 0.6 * np.cos(turn), 0.6 * np.sin(turn)
    x = np.stack([u, v, -v, u], 1) + 0.08 * draws.standard_normal((COUNT, 4))
    return x.reshape(COUNT, 1, 2, 2).astype(np.float32)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A project with the data alone."""
    data = Paths(tmp_path).prepared("rings")
    data.mkdir(parents=True)
    save_arrays(data / "train.npz", x=rings()[:1000])
    save_arrays(data / "test.npz", x=rings()[1000:])
    return Paths(tmp_path)


def found(paths: Paths, updates: int, rate: float, **changes: Any) -> str:
    """Train a model and run its long chains by their stages; return the regime's name."""
    whole = {
        "network": {"kind": "convnet", "size": 2, "channels": 1, "width": 32},
        "reference": None,
        "start": SHORT,
        "sample_from": NOISE,
        "data_noise": 0.03,
        "decay": 0.0,
        "optimiser": {"kind": "adam", "rate": rate, "momentum": 0.5},
        **changes,
    }
    common = {"dataset": "rings", "threads": 1, "seed": 0}
    model = MaximumLikelihoodSettings.model_validate(whole)
    asked = {"below": None, "fit": {"updates": updates, **FIT, **JUDGED}, "model": model}
    given = {**common, "learner": "maximum_likelihood", "device": "cpu"}
    inputs = TrainInputs.model_validate({**given, "train": asked})
    monitor = Monitor(paths, "train", "trial", "learn")
    try:
        with Scratch(paths, "train", "trial", "learn", "mark") as scratch:
            train.run("trial", "learn", inputs, paths, monitor, scratch)
        applied = {"long_chains": {"chains": 32, "times": 100}}
        stage = ApplyInputs.model_validate({**common, "final": "learn", "apply": applied})
        apply.run("trial", None, stage, paths, Monitor(paths, "apply", "trial"))
    except Diverged:
        pass
    told = regime(paths, "trial", ["learn"])
    assert told is not None and told["evidence"]
    return told["name"]


@pytest.mark.slow
def test_chains_at_temperature_1_of_a_model_that_learned_by_them_converge(paths: Paths) -> None:
    chain = {"steps": 10, "sample_steps": 200, "step_size": 0.01, "temperature": 1.0}
    warm = {"start": PERSISTENT, "reference": 1.0, "data_noise": 0.1, "chain": chain}
    assert found(paths, updates=400, rate=0.01, **warm) == "converging"


@pytest.mark.slow
def test_few_cold_steps_from_noise_merely_synthesise(paths: Paths) -> None:
    chain = {"steps": 15, "sample_steps": 15, "step_size": 0.2, **COLD}
    assert found(paths, updates=200, rate=0.005, chain=chain) == "synthesising"


@pytest.mark.slow
def test_steps_that_are_far_too_large_saturate(paths: Paths) -> None:
    chain = {"steps": 10, "sample_steps": 10, "step_size": 1000.0, **COLD}
    assert found(paths, updates=60, rate=1e-5, chain=chain) == "saturated"


@pytest.mark.slow
def test_far_too_high_a_rate_diverges(paths: Paths) -> None:
    chain = {"steps": 15, "sample_steps": 15, "step_size": 0.2, **COLD}
    assert found(paths, updates=60, rate=10.0, chain=chain) == "diverging"


@pytest.mark.slow
def test_decay_that_holds_f_flat_synthesises_nothing(paths: Paths) -> None:
    chain = {"steps": 10, "sample_steps": 10, "step_size": 0.02, "noise": 0.05, "bounds": 1.0}
    assert found(paths, updates=60, rate=0.01, decay=1e4, chain=chain) == "not synthesising"


def test_broken_run_is_diverging_while_it_left_no_model(paths: Paths) -> None:
    assert regime(paths, "trial", ["learn"]) is None
    told = {"name": "synthesising", "evidence": "as long chains say"}
    write_json(paths.results("trial") / "apply.json", {"regime": told})
    assert regime(paths, "trial", ["learn"]) == told
    write_json(paths.work / "broken/trial/learn/facts.json", {"message": "the gap ran away"})
    broken = {"name": "diverging", "evidence": "the gap ran away"}
    assert regime(paths, "trial", ["learn"]) == broken
    write_json(paths.model("trial", "learn") / "model.json", {})
    assert regime(paths, "trial", ["learn"]) == told
    (paths.results("trial") / "apply.json").write_text('{"cut of')
    assert regime(paths, "trial", ["learn"]) is None


def test_long_chains_that_are_no_longer_than_those_of_samples_are_refused() -> None:
    settings = LongChainsSettings(chains=4, times=100)
    settings.check_length(steps=20, drawn=300)
    with pytest.raises(ValueError, match="times is 100, .* of 100 steps, .* is 500; give .* 501"):
        settings.check_length(steps=1, drawn=500)
