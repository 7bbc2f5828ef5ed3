"""What every learner promises to those who use it."""

import inspect

import pytest
import torch
from torch import nn

from ebm.fit import Learner
from ebm.learn import LEARNERS, Trained, inpaints, learner_class
from ebm.metrics.fine_tune import untrained
from ebm.settings import Settings


@pytest.mark.parametrize("name", LEARNERS)
def test_learner_has_what_fitting_and_using_it_need(name: str) -> None:
    kind = learner_class(name)
    assert issubclass(kind.Settings, Settings)
    for promise in (Learner, Trained):
        for member, value in vars(promise).items():
            if member.startswith("_"):
                continue
            assert hasattr(kind, member), f"{name} has no {member}"
            if inspect.isfunction(value):
                asked = set(inspect.signature(value).parameters)
                assert asked <= set(inspect.signature(getattr(kind, member)).parameters), member


SMALL = {
    "multigrid": {
        "channels": 1,
        "grids": [
            {
                **{"size": 4, "width": 2, "steps": 1, "step_size": 0.1, "noise": 0.1},
                **{"start_noise": 0.1, "bounds": 1.1, "data_noise": 0.0, "rate": 0.001},
                **{"momentum": 0.5, "decay": 0.0},
            }
        ],
    }
}


@pytest.mark.parametrize("name", LEARNERS)
def test_feature_network_gives_the_learners_features_and_can_be_trained_from_scratch(
    name: str,
) -> None:
    kind = learner_class(name)
    learner = kind(kind.Settings.model_validate(SMALL[name]))
    x = torch.rand(3, 1, 4, 4)
    assert isinstance(learner.feature_network, nn.Module)
    h = learner.features(x)
    assert torch.equal(learner.feature_network.features(x), h)
    fresh = untrained(learner.feature_network, seed=1)
    assert fresh.features(x).shape == h.shape and not torch.equal(fresh.features(x), h)
    assert torch.equal(learner.features(x), h)


def test_learner_that_can_hold_pixels_is_known_to() -> None:
    assert inpaints("multigrid")


def test_an_experiment_that_inpaints_needs_a_learner_that_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pathlib import Path

    from tasks import settings
    from tasks.refusals import SettingsError

    class Blind(nn.Module):
        Settings = learner_class("multigrid").Settings

        def sample(self, seeds: object, *, keep: int = 0) -> None:
            """Draw, holding nothing."""

    monkeypatch.setattr("ebm.learn.learner_class", lambda name: Blind)
    with pytest.raises(SettingsError, match="learner multigrid cannot inpaint"):
        settings.read(Path(__file__).parents[2] / "params.yaml")
