"""Divergence provoked on purpose, on small learners of both kinds: recovery or a diagnosis."""

from typing import Any

import pytest
import torch
from torch import Tensor

from ebm.finite import non_finite
from ebm.fit import Fitted, fit
from ebm.health import CAUSES, Diverged, judge
from ebm.learn.maximum_likelihood import MaximumLikelihood
from ebm.learn.maximum_likelihood_settings import MaximumLikelihoodSettings
from ebm.learn.multigrid import Multigrid
from ebm.learn.multigrid_settings import Grid, MultigridSettings
from ebm.learner import FitSettings
from ebm.run import Run

FIT: dict[str, Any] = {
    "updates": 40,
    "batch": 8,
    "average": 0.9,
    "final_rate": 1.0,
    "check_every": 1,
    "checkpoint_every": 5,
    "gap_limit": 20.0,
    "rollbacks": 2,
    "slow_down": 0.01,
}
GRID: dict[str, Any] = {
    "size": 2,
    "width": 8,
    "steps": 2,
    "step_size": 1e-4,
    "noise": 0.0,
    "start_noise": 0.1,
    "bounds": 1e30,
    "data_noise": 0.0,
    "rate": 0.001,
    "momentum": 0.5,
    "decay": 0.0,
}
FRESH = {"noise": "gaussian", "scale": 1.0}
PLAIN: dict[str, Any] = {
    "network": {"kind": "mlp", "dim": 2, "widths": [8, 8], "scale": 1.0},
    "reference": None,
    "start": {"start": "persistent", "chains": 16, "rejuvenation": 0.0, **FRESH},
    "sample_from": FRESH,
    "chain": {"steps": 5, "sample_steps": 20, "step_size": 0.1, "temperature": 1.0},
    "data_noise": 0.0,
    "decay": 0.0,
    "optimiser": {"kind": "sgd", "rate": 0.05, "momentum": 0.0},
}


def multigrid(rate: float = 0.001, step_size: float = 1e-4) -> Multigrid:
    torch.manual_seed(0)
    grid = Grid(**{**GRID, "rate": rate, "step_size": step_size})
    return Multigrid(MultigridSettings(channels=1, grids=[grid]))


def plain(rate: float = 0.05, step_size: float = 0.1) -> MaximumLikelihood:
    torch.manual_seed(0)
    model = {
        **PLAIN,
        "chain": {**PLAIN["chain"], "step_size": step_size},
        "optimiser": {**PLAIN["optimiser"], "rate": rate},
    }
    return MaximumLikelihood(MaximumLikelihoodSettings.model_validate(model))


KINDS = {"multigrid": multigrid, "maximum_likelihood": plain}
STEP = {"multigrid": 1e2, "maximum_likelihood": 0.1}
AT = {"multigrid": (1, 2, 2), "maximum_likelihood": (2,)}


def data(name: str) -> Tensor:
    x = torch.rand(40, *AT[name], generator=torch.Generator().manual_seed(5)) * 2 - 1
    return x.sign() if name == "multigrid" else x


def run(name: str, learner: Any, x: Tensor | None = None, **changes: Any) -> Fitted:
    x = data(name) if x is None else x
    return fit(learner, x, FitSettings(**{**FIT, **changes}), seed=3)


@pytest.mark.parametrize("name", KINDS)
def test_calm_settings_stay_calm(name: str) -> None:
    fitted = run(name, KINDS[name]())
    assert not fitted.events and fitted.verdict.name != "diverging"


@pytest.mark.parametrize(("name", "rate"), [("multigrid", 0.3), ("maximum_likelihood", 50.0)])
def test_too_high_a_rate_is_slowed_until_it_learns(name: str, rate: float) -> None:
    fitted = run(name, KINDS[name](rate=rate), gap_limit=1.0)
    assert 1 <= len(fitted.events) <= 2
    assert fitted.verdict.name != "diverging"
    assert all(p.isfinite().all() for p in fitted.networks.parameters())


@pytest.mark.parametrize(("name", "rate"), [("multigrid", 0.3), ("maximum_likelihood", 50.0)])
def test_rate_that_stays_too_high_ends_with_what_to_change(name: str, rate: float) -> None:
    with pytest.raises(Diverged, match="iteration .* after 2 rollbacks.* a smaller rate") as caught:
        run(name, KINDS[name](rate=rate), gap_limit=1.0, slow_down=1.0)
    error = caught.value
    assert error.verdict.cause in ("gap", "parameter") and len(error.events) == 3
    assert CAUSES[error.verdict.cause] in error.advice and str(error).endswith(error.advice)
    assert not list(non_finite(error.good))


@pytest.mark.parametrize("limit", [1.0, 1e12])
@pytest.mark.parametrize("name", KINDS)
def test_exploding_chain_is_told_from_a_rate_that_is_too_high(name: str, limit: float) -> None:
    """Slower learning does not help; whatever the gap's limit, samples that left are seen."""
    with pytest.raises(Diverged, match="Langevin steps that overshoot; .* step_size") as caught:
        run(name, KINDS[name](step_size=1e3 * STEP[name]), updates=100, gap_limit=limit)
    assert caught.value.verdict.cause == "chain"
    assert "times as much as the data" in str(caught.value)
    assert len(caught.value.events) == 3


@pytest.mark.parametrize("rate", [1e4, 1e8])
def test_rate_far_too_high_is_told_from_a_chain_that_explodes(rate: float) -> None:
    """Learning throws the chains far out; from the last good state they are sound without it."""
    learner = plain(rate=rate)
    with pytest.raises(Diverged, match="a smaller rate, then gradient_clip") as caught:
        run("maximum_likelihood", learner, slow_down=0.9)
    error = caught.value
    assert error.verdict.cause == "parameter" and len(error.events) == 3
    assert error.events[-1]["reason"] == error.verdict.evidence
    again = [learner.state_dict()["networks"][key] for key in error.good["networks"]]
    assert not all(map(torch.equal, again, error.good["networks"].values())), "it is at the break"


def test_learner_without_chains_is_never_told_to_change_them() -> None:
    figures = {"f_data": 1.0, "f_samples": 900.0, "sd_data": 1.0, "sd_samples": 90.0}
    curves = {name: [value] * 60 for name, value in figures.items()}
    assert judge(curves, gap_limit=20.0).cause == judge(curves, gap_limit=1e9).cause == "parameter"


def stumbling(learner: Any, at: int) -> Any:
    """The learner, whose batch holds a NaN in one iteration, as a fault of the memory leaves it."""
    learn, calls = learner.learn, iter(range(1, 10_000))

    def once(batch: Tensor) -> dict[str, Tensor]:
        if next(calls) == at:
            batch = batch.clone()
            batch[3].flatten()[0] = torch.nan
        figures: dict[str, Tensor] = learn(batch)
        return figures

    learner.learn = once
    return learner


@pytest.mark.parametrize("name", KINDS)
def test_run_recovers_from_a_nan_in_one_batch(name: str) -> None:
    fitted = run(name, stumbling(KINDS[name](), at=12))
    assert [(e["step"], e["back_to"]) for e in fitted.events] == [(12, 10)]
    assert "a batch held a value that is not finite, or too large" in fitted.events[0]["reason"]
    assert all(p.isfinite().all() for p in fitted.networks.parameters())


def test_nan_in_a_persistent_chain_is_found_at_once_and_named() -> None:
    learner = plain()
    learn, calls = learner.learn, iter(range(1, 100))

    def struck(batch: Tensor) -> dict[str, Tensor]:
        if next(calls) == 9:
            learner.chains.states[:, 0] = torch.nan  # type: ignore[attr-defined]
        return learn(batch)

    learner.learn = struck  # type: ignore[method-assign]
    with pytest.raises(Diverged, match="the chain broke while f on the data was finite") as caught:
        run("maximum_likelihood", learner, rollbacks=0)
    assert caught.value.events[0]["step"] == 9 and caught.value.verdict.cause == "chain"
    assert "chains.states" in caught.value.broken


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_parameter_that_is_not_finite_is_found_at_the_next_look(name: str, value: float) -> None:
    """The figures of the iteration are finite yet: it breaks at its end."""
    learner = KINDS[name]()
    learn, calls = learner.learn, iter(range(1, 100))

    def struck(batch: Tensor) -> dict[str, Tensor]:
        figures = learn(batch)
        if next(calls) == 9:
            with torch.no_grad():
                last = list(learner.networks.parameters())[-1]
                last.view(-1)[0] = value
        return figures

    learner.learn = struck  # type: ignore[method-assign]
    named = list(dict(learner.networks.named_parameters()))[-1]
    with pytest.raises(Diverged, match=f"parameter {named} is not finite") as caught:
        run(name, learner, rollbacks=0)
    assert caught.value.events[0]["step"] == 9 and caught.value.verdict.cause == "parameter"
    assert caught.value.broken == [f"networks.{named}"]


def test_parameters_are_looked_at_one_by_one_only_after_their_norm_has_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[bool] = []

    def search(networks: object) -> None:
        looks.append(True)

    monkeypatch.setattr("ebm.run.first_non_finite", search)
    learner = plain()
    once = Run(learner, data("maximum_likelihood"), FitSettings(**FIT), seed=1)
    once.iterate()
    assert once.judge().name == "healthy" and not looks
    with torch.no_grad():  # finite, and so is each square's root: the sum of squares is not
        learner.f.head.weight.fill_(1e30)
    assert once.gather() and looks


def test_figures_reach_the_host_as_they_were() -> None:
    once = Run(plain(), data("maximum_likelihood"), FitSettings(**FIT), seed=1)
    for _ in range(3):
        once.iterate()
    rows = torch.stack(once.rows).tolist()
    once.gather()
    assert once.curves == rows and not once.rows


def test_non_finite_tensors_of_a_tree_are_named_by_their_place() -> None:
    bad = torch.tensor([1.0, torch.inf])
    tree = {
        "a": {"b": bad, "c": torch.ones(2)},
        "d": [torch.ones(1), bad],
        "e": torch.ones(1).int(),
    }
    assert list(non_finite(tree)) == ["a.b", "d.1"]
