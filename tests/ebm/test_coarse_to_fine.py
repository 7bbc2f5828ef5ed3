"""Coarse-to-fine expanding and sampling."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

from ebm.learn.coarse_to_fine import CoarseToFine, CoarseToFineSettings
from ebm.learn.parts import at_rest, settled
from ebm.samplers.langevin import grad

CHAIN = {"steps": 4, "sample_steps": 4, "step_size": 1.0, "noise": 0.02}
MODEL = {
    **{"channels": 1, "widths": [6, 5], "fade": 0, "start": "noise", "chain": CHAIN},
    **{"data_noise": 0.03, "decay": 0.05},
    "optimiser": {"kind": "adam", "rate": 0.002, "momentum": 0.5},
}


def learner(below: CoarseToFine | None = None, **changes: Any) -> CoarseToFine:
    torch.manual_seed(0)
    made = CoarseToFine(CoarseToFineSettings.model_validate({**MODEL, **changes}), below)
    made.generator.manual_seed(1)
    return made


def images(count: int = 12, size: int = 16) -> Tensor:
    source = torch.Generator().manual_seed(0)
    return torch.rand(count, 1, size, size, generator=source) * 2 - 1


def stacked(start: str = "noise", **changes: Any) -> tuple[CoarseToFine, CoarseToFine]:
    below = learner()
    below.learn(images())
    return below, learner(below, widths=[6, 5, 4], fade=4, start=start, **changes)


def test_stage_begins_as_the_finished_one_below_with_a_fresh_optimiser() -> None:
    below, upper = stacked()
    x = images()
    assert torch.allclose(upper.score(x), below.score(F.avg_pool2d(x, 2)), atol=1e-6)
    assert below.optimisers["f"].state and not upper.optimisers["f"].state


@pytest.mark.parametrize("start", ["noise", "below"])
def test_stage_learns_its_own_network_and_leaves_the_one_below(start: str) -> None:
    below, upper = stacked(start)
    kept = {k: v.clone() for k, v in below.networks.state_dict().items()}
    before = {k: v.clone() for k, v in upper.networks.named_parameters()}
    for _ in range(4):
        figures = upper.learn(images())
    assert upper.f.alpha == 1 and all(v.isfinite() for v in figures.values())
    assert all(torch.equal(v, kept[k]) for k, v in below.networks.state_dict().items())
    assert not any(torch.equal(v, before[k]) for k, v in upper.networks.named_parameters())


def test_chain_from_below_starts_where_the_one_below_ends() -> None:
    _, upper = stacked("below")
    states = upper.sample([3, 4], keep=2)
    assert list(states) == [8, 16] and [len(s) for s in states.values()] == [3, 3]
    start = F.interpolate(states[8][-1], scale_factor=2, mode="nearest")
    assert torch.equal(states[16][0], start)


def test_chain_from_noise_starts_at_its_own_resolution() -> None:
    below, upper = stacked()
    states = upper.sample([3, 4], keep=3)
    assert states[16][0].std() == pytest.approx(3**-0.5, rel=0.1)
    assert torch.equal(states[8][-1], below.sample([3, 4])[8][-1])


def test_samples_are_brought_into_the_box_at_the_end_alone() -> None:
    made = learner(chain={**CHAIN, "step_size": 200.0})
    states = made.sample(range(6), keep=1)[8]
    assert states[-1].abs().max() == 1
    assert max(float(x.abs().max()) for x in states[1:-1]) > 1


def test_a_learning_step_raises_f_of_data_over_f_of_samples() -> None:
    made, data = learner(decay=0.0, data_noise=0.0), torch.full((8, 1, 8, 8), 0.7)
    made.prepare(data)
    before = made.score(data) - made.score(-data)
    for _ in range(20):
        figures = made.learn(data)
    assert figures["f_data"] > figures["f_samples"]
    assert (made.score(data) - made.score(-data) > before).all()


def test_learning_draws_the_samples_to_the_data() -> None:
    x = torch.full((16, 1, 8, 8), 0.6)
    made = learner(chain={**CHAIN, "steps": 10, "sample_steps": 10, "step_size": 2.0})

    def distance() -> float:
        return (made.sample(range(16))[8][-1] - 0.6).square().mean().item()

    before = distance()
    for _ in range(80):
        made.learn(x)
    assert distance() < 0.3 * before


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_chain_of_a_normalised_network_computes_its_weights_once(precision: str) -> None:
    """The same gradient as weights that are computed at each step, and nothing rounded."""
    made = learner(spectral=True, chain={**CHAIN, "precision": precision})
    x = images(size=8)
    with at_rest(made.f):
        right, weight = grad(made.f, x), made.f.map.weight
    with settled(made.f):
        assert torch.equal(grad(made.f, x), right)
        assert made.f.map.weight is made.f.map.weight and torch.equal(made.f.map.weight, weight)
    assert made.f.map.weight is not made.f.map.weight
    assert torch.isfinite(made.learn(x)["strength"])


def test_chain_may_round_what_a_growing_network_multiplies() -> None:
    _, upper = stacked("below", chain={**CHAIN, "precision": "bfloat16"})
    for _ in range(3):
        figures = upper.learn(images())
    assert 0 < upper.f.alpha < 1 and figures["strength"].isfinite()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"fade": 3}, "fade is 3 and start is 'noise', and there is no stage below"),
        ({"start": "below"}, "start is 'below', and there is no stage below"),
    ],
)
def test_first_stage_has_nothing_to_fade_in_from(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        learner(**changes)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"widths": [6, 5]}, r"widths is \[6, 5\] over a stage below whose widths is \[6, 5\]"),
        ({"widths": [6, 7, 4]}, r"give \[6, 5\] and one more"),
        ({"widths": [6, 5, 4], "channels": 3}, "channels is 3 over a stage below .* give 1"),
        ({"widths": [6, 5, 4], "spectral": True}, "spectral is True over .* give False"),
    ],
)
def test_stage_that_does_not_fit_the_one_below_is_refused(
    changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        learner(learner(), **changes)


def test_images_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="the images are 1x12x12; model.channels is 1, and 2 wid"):
        learner().prepare(images(size=12))


def test_maps_without_a_channel_are_refused() -> None:
    with pytest.raises(ValidationError, match="each must be 1 or more"):
        learner(widths=[6, 0])
