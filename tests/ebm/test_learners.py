"""What every learner promises to those who use it."""

import inspect

import pytest
from torch import nn

from ebm.fit import Learner
from ebm.learn import LEARNERS, Trained, inpaints, learner_class
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
