"""The loop every learner shares, on the smallest multigrid learner."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ebm.checkpoint import spare, write
from ebm.fit import Fitted, Progress, fit
from ebm.health import Diverged
from ebm.learn.multigrid import Multigrid
from ebm.learn.multigrid_settings import Grid, MultigridSettings
from ebm.learner import FitSettings

FIT = {
    "updates": 24,
    "batch": 8,
    "average": 0.9,
    "final_rate": 0.1,
    "check_every": 4,
    "checkpoint_every": 8,
    "gap_limit": 20.0,
    "rollbacks": 2,
    "slow_down": 0.5,
}
GRID = {
    "size": 2,
    "width": 2,
    "steps": 2,
    "step_size": 1.0,
    "noise": 0.05,
    "start_noise": 0.1,
    "bounds": 1.1,
    "data_noise": 0.05,
    "rate": 0.01,
    "momentum": 0.5,
    "decay": 0.05,
}
DATA = torch.rand(50, 1, 2, 2, generator=torch.Generator().manual_seed(5)) * 2 - 1


def made(kind: type[Multigrid] = Multigrid, **changes: Any) -> Multigrid:
    torch.manual_seed(0)
    return kind(MultigridSettings(channels=1, grids=[Grid(**{**GRID, **changes})]))


def run(
    learner: Multigrid,
    data: Tensor = DATA,
    seed: int = 3,
    checkpoint: Path | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    **changes: Any,
) -> Fitted:
    settings = FitSettings(**{**FIT, **changes})
    return fit(learner, data, settings, seed=seed, checkpoint=checkpoint, report=report)


def same(one: Fitted, other: Fitted) -> bool:
    first, second = one.networks.state_dict(), other.networks.state_dict()
    weights = all(torch.equal(first[name], second[name]) for name in first)
    return weights and one.curves == other.curves and one.events == other.events


def rate(learner: Multigrid) -> float:
    return learner.optimisers["2"].param_groups[0]["lr"]


class Stumbling(Multigrid):
    """Breaks in the iteration with a certain rate, so once, and again if that is repeated."""

    bad = 0.01 * (1 - 0.9 * 13 / 24)  # the rate of the 14th iteration, before any slowing

    def learn(self, batch: Tensor) -> dict[str, Tensor]:
        figures = super().learn(batch)
        if abs(rate(self) - self.bad) < 1e-9:
            with torch.no_grad():
                self.networks["2"].head.bias.fill_(torch.nan)
        return figures


class Ailing(Multigrid):
    """Falls ill in its 12th iteration unless it learns slowly by then; breaks when ill in its 18th.

    A state of the 16th is ill already: no slowing from there on helps.
    """

    count, ill = 0, False

    def learn(self, batch: Tensor) -> dict[str, Tensor]:
        figures = super().learn(batch)
        planned = 0.01 * (1 - 0.9 * self.count / 24)
        self.count += 1
        if self.count == 12:
            self.ill = rate(self) > 0.9 * planned
        if self.count == 18 and self.ill:
            with torch.no_grad():
                self.networks["2"].head.bias.fill_(torch.nan)
        return figures

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "ailing": torch.tensor([self.count, int(self.ill)])}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.count, self.ill = int(state["ailing"][0]), bool(state["ailing"][1])


class Cut(Exception):
    pass


def cutting(kind: type[Multigrid], at: int) -> type[Multigrid]:
    """A learner that is cut off in the iteration `at`."""

    class Cutting(kind):  # type: ignore[misc, valid-type]
        calls = 0

        def learn(self, batch: Tensor) -> dict[str, Tensor]:
            figures = super().learn(batch)
            type(self).calls += 1
            if self.calls == at:
                raise Cut
            return figures

    return Cutting


def test_same_seed_gives_the_same_bits_and_another_seed_others() -> None:
    assert same(run(made()), run(made()))
    assert not same(run(made()), run(made(), seed=4))


@pytest.mark.parametrize("at", [1, 4, 8, 9, 15, 16, 17, 24])
def test_run_cut_off_and_resumed_equals_one_left_alone(at: int, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(Cut):
        run(made(cutting(Multigrid, at)), checkpoint=checkpoint)
    assert checkpoint.exists() == (at > 8)
    assert same(run(made(), checkpoint=checkpoint), run(made()))


def test_rate_rises_over_the_warm_up_and_falls_from_there() -> None:
    rates: list[float] = []

    class Noting(Multigrid):
        def learn(self, batch: Tensor) -> dict[str, Tensor]:
            rates.append(rate(self))
            return super().learn(batch)

    run(made(Noting), warm_up=4)
    falling = [0.01 * (1 - 0.9 * step / 24) for step in range(24)]
    assert rates == pytest.approx([f * min(1, (i + 1) / 4) for i, f in enumerate(falling)])


@pytest.mark.parametrize("at", [10, 14, 16, 17, 20, 25, 31])
def test_cut_off_about_a_rollback_changes_nothing(at: int, tmp_path: Path) -> None:
    checkpoint, whole = tmp_path / "checkpoint.pt", run(made(Stumbling))
    assert [event["step"] for event in whole.events] == [16]
    assert whole.events[0]["back_to"] == 8
    with pytest.raises(Cut):
        run(made(cutting(Stumbling, at)), checkpoint=checkpoint)
    assert same(run(made(Stumbling), checkpoint=checkpoint), whole)


@pytest.mark.parametrize("at", [0, 8, 16, 17, 18, 20, 21, 24, 25, 31, 32, 40])
def test_run_that_breaks_again_goes_back_further_wherever_it_is_cut_off(
    at: int, tmp_path: Path
) -> None:
    checkpoint, whole = tmp_path / "checkpoint.pt", run(made(Ailing), rollbacks=2)
    assert [event["back_to"] for event in whole.events] == [16, 8]
    assert all(value.isfinite().all() for value in whole.networks.parameters())
    if at:
        with pytest.raises(Cut):
            run(made(cutting(Ailing, at)), checkpoint=checkpoint, rollbacks=2)
    assert same(run(made(Ailing), checkpoint=checkpoint, rollbacks=2), whole)


def test_run_that_is_given_up_tells_of_the_last_state_and_not_of_one_before() -> None:
    with pytest.raises(Diverged) as caught:
        run(made(Ailing), rollbacks=1)
    assert [event["back_to"] for event in caught.value.events] == [16, 16]


@pytest.mark.parametrize("content", [{"step": 1}, None])
def test_spare_checkpoint_that_is_not_of_this_run_is_left_alone(
    content: dict[str, int] | None, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(Cut):
        run(made(cutting(Ailing, 17)), checkpoint=checkpoint)
    if content:
        write(spare(checkpoint), content)
    else:
        spare(checkpoint).unlink()
    with pytest.raises(Diverged) as caught:
        run(made(Ailing), checkpoint=checkpoint)
    assert {event["back_to"] for event in caught.value.events} == {16}


def test_finished_run_is_not_run_again(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    first = run(made(), checkpoint=checkpoint)
    assert same(run(made(cutting(Multigrid, 1)), checkpoint=checkpoint), first)


def test_rollback_slows_down_and_is_told() -> None:
    rates: list[float] = []
    learner = made(Stumbling)
    fitted = run(learner, report=lambda progress: rates.append(rate(learner)))
    assert "is not finite, nor is parameter" in fitted.events[0]["reason"]
    assert rates[-1] == pytest.approx(0.01 * 0.5 * (1 - 0.9 * 23 / 24))
    assert len(fitted.curves["2/f_data"]) == 24
    assert all(value.isfinite().all() for value in fitted.networks.parameters())


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_value_that_is_not_finite_in_the_data_is_named_before_anything_is_learned(
    value: float, tmp_path: Path
) -> None:
    data, checkpoint = DATA.clone(), tmp_path / "checkpoint.pt"
    data[7, 0, 1, 1] = value
    with pytest.raises(ValueError, match="training data .* first in item 7; mend or leave out"):
        run(made(cutting(Multigrid, 1)), data, checkpoint=checkpoint)
    assert not checkpoint.exists()


class Poisoned(Multigrid):
    """Loses a parameter in every iteration."""

    def learn(self, batch: Tensor) -> dict[str, Tensor]:
        figures = super().learn(batch)
        with torch.no_grad():
            self.networks["2"].head.weight[0, 1] = torch.inf
        return figures


def test_parameter_that_is_not_finite_is_named() -> None:
    with pytest.raises(Diverged, match=r"2\.head\.weight"):
        run(made(Poisoned), rollbacks=0, check_every=1)


def test_exploding_rate_ends_with_the_curves_and_a_cause() -> None:
    """Chains that hardly move leave f free to tell the data from their start."""
    still = {"width": 8, "decay": 0.0, "data_noise": 0.0, "noise": 0.0, "step_size": 1e-4}
    with pytest.raises(Diverged, match="energy gap is .* beyond the limit 1;") as caught:
        run(made(rate=0.3, **still), DATA.sign(), gap_limit=1.0, check_every=1)
    assert len(caught.value.events) == 3
    assert all(values for values in caught.value.curves.values())
    calm = run(made(rate=1e-4, **still), DATA.sign(), gap_limit=1.0, check_every=1)
    assert not calm.events


def test_every_figure_has_a_value_an_iteration_and_the_gap_is_their_difference() -> None:
    curves = run(made()).curves
    assert {len(values) for values in curves.values()} == {24}
    pairs = zip(curves["2/f_data"], curves["2/f_samples"], strict=True)
    assert curves["2/gap"] == [data - samples for data, samples in pairs]


def test_progress_is_told_at_every_look_of_the_judge() -> None:
    told: list[Progress] = []
    run(made(), report=told.append, updates=10)
    assert [(p.step, p.steps) for p in told] == [(4, 10), (8, 10), (10, 10)]
    assert told[0].verdict.name == "healthy" and "2/f_data" in told[0].figures


def test_average_is_the_exponential_one() -> None:
    weights: list[Tensor] = []

    class Watched(Multigrid):
        def learn(self, batch: Tensor) -> dict[str, Tensor]:
            figures = super().learn(batch)
            weights.append(self.networks["2"].head.weight.detach().clone())
            return figures

    fitted = run(made(Watched), updates=5, average=0.9)
    mean = weights[0]
    for weight in weights[1:]:
        mean = 0.9 * mean + 0.1 * weight
    assert torch.allclose(fitted.networks["2"].head.weight, mean, atol=1e-6)


def test_no_average_gives_the_last_parameters() -> None:
    learner = made()
    fitted = run(learner, average=0.0)
    assert torch.allclose(fitted.networks["2"].head.weight, learner.networks["2"].head.weight)
    assert torch.equal(fitted.networks["1"].means, learner.networks["1"].means)


def test_checkpoint_of_another_network_is_refused_by_name(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    run(made(), checkpoint=checkpoint)
    with pytest.raises(ValueError, match=r"checkpoint\.pt is not of this run"):
        run(made(width=3), checkpoint=checkpoint)


def test_checkpoint_without_a_run_is_refused_by_name(tmp_path: Path) -> None:
    from ebm.checkpoint import write

    write(tmp_path / "checkpoint.pt", {"step": 1})
    with pytest.raises(ValueError, match=r"checkpoint\.pt is not of this run"):
        run(made(), checkpoint=tmp_path / "checkpoint.pt")


def test_batch_whose_variation_cannot_be_judged_is_refused() -> None:
    with pytest.raises(ValueError, match="batch"):
        FitSettings(**{**FIT, "batch": 1})
