"""Multigrid learning and sampling."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor

from ebm.energy import contrast
from ebm.learn.multigrid import Histogram, Multigrid, carry_on, expand, shrink
from ebm.learn.multigrid_settings import Grid, MultigridSettings

GRID = {
    "width": 4,
    "steps": 3,
    "step_size": 1.0,
    "noise": 0.05,
    "start_noise": 0.1,
    "bounds": 1.1,
    "data_noise": 0.05,
    "rate": 0.01,
    "momentum": 0.5,
    "decay": 0.05,
}


def settings(*sizes: int, **changes: Any) -> MultigridSettings:
    grids = [Grid(size=size, **{**GRID, **changes}) for size in sizes]
    return MultigridSettings(channels=1, grids=grids)


def images(count: int = 40, size: int = 4) -> Tensor:
    """Stripes, up or down, bright or dark."""
    source = torch.Generator().manual_seed(0)
    x = torch.where(torch.rand(count, 1, 1, size, generator=source) > 0.5, 0.8, -0.8)
    return x.expand(count, 1, size, size).clone()


def learner(*sizes: int, below: Multigrid | None = None, **changes: Any) -> Multigrid:
    torch.manual_seed(sizes[0])
    made = Multigrid(settings(*sizes, **changes), below)
    made.prepare(images(size=max(sizes)))
    made.generator.manual_seed(1)
    return made


def stacked() -> tuple[Multigrid, Multigrid]:
    """The same networks, held jointly and grid by grid."""
    below = learner(2)
    upper = learner(4, below=below)
    joint = learner(2, 4)
    joint.networks.load_state_dict({**below.networks.state_dict(), **upper.networks.state_dict()})
    return joint, upper


def test_shrinking_undoes_expanding() -> None:
    x = torch.randn(3, 2, 2, 2)
    assert torch.allclose(shrink(expand(x, 8), 2), x, atol=1e-6)
    y = torch.rand(3, 1, 8, 8)
    assert torch.allclose(shrink(y, 1).flatten(), y.mean((1, 2, 3)), atol=1e-6)


def test_joint_and_grid_by_grid_models_draw_the_same_samples() -> None:
    joint, upper = stacked()
    one, other = joint.sample(range(6)), upper.sample(range(6))
    assert list(one) == list(other) == [1, 2, 4]
    for size in one:
        assert one[size][-1].shape == (6, 1, size, size)
        assert torch.equal(one[size][-1], other[size][-1])


def test_stage_over_a_finished_one_learns_its_own_grid_alone() -> None:
    _, upper = stacked()
    before = {k: v.clone() for k, v in upper.below.networks.state_dict().items()}
    figures = upper.learn(images(8))
    assert {name.split("/")[0] for name in figures} == {"4"}
    assert set(upper.networks) == {"4"}
    for name, value in upper.below.networks.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_joint_stage_learns_every_grid() -> None:
    joint, _ = stacked()
    before = {k: v.clone() for k, v in joint.networks.named_parameters()}
    figures = joint.learn(images(8))
    assert {name.split("/")[0] for name in figures} == {"2", "4"}
    assert all(value.shape == () and value.isfinite() for value in figures.values())
    changed = [not torch.equal(v, before[k]) for k, v in joint.networks.named_parameters()]
    assert all(changed)


def test_a_learning_step_raises_f_of_data_over_f_of_samples() -> None:
    made = learner(4, decay=0.0)
    grid, network = next(made.all_grids())
    data, samples = images(16), torch.zeros(16, 1, 4, 4)

    def gap() -> Tensor:
        return network(data).mean() - network(samples).mean()

    gaps = [gap().item()]
    for _ in range(5):
        made.descend(grid, contrast(network(data), network(samples)))
        gaps.append(gap().item())
    assert gaps == sorted(gaps) and gaps[-1] > gaps[0] + 0.01


def test_learning_draws_the_samples_to_the_data() -> None:
    """On stripes of one pixel value the samples' mean moves to the data's."""
    made = learner(2, steps=10, rate=0.02, noise=0.02)
    x = images(64, 2) * 0 + torch.tensor([0.7, -0.7])
    made.prepare(x)

    def distance() -> float:
        return (made.sample(range(64))[2][-1] - x).abs().mean().item()

    before = distance()
    for _ in range(60):
        made.learn(x)
    assert distance() < before / 2


def test_learning_goes_on_with_the_same_bits_from_its_state() -> None:
    one, other = learner(2, 4), learner(2, 4)
    one.learn(images(8))
    other.generator.manual_seed(99)
    other.load_state_dict(deepcopy(one.state_dict()))
    for _ in range(2):
        first, second = one.learn(images(8)), other.learn(images(8))
        assert all(torch.equal(first[name], second[name]) for name in first)
    for name, value in one.networks.state_dict().items():
        assert torch.equal(value, other.networks.state_dict()[name]), name


def test_samples_do_not_depend_on_their_batch() -> None:
    made = learner(2, 4)
    together = made.sample(range(10, 16))[4][-1]
    alone = torch.cat([made.sample([seed])[4][-1] for seed in range(10, 16)])
    assert torch.allclose(together, alone, atol=1e-5)
    assert together.std(0).min() > 0


def test_sampling_leaves_the_learning_as_it_is() -> None:
    one, other = learner(2), learner(2)
    one.sample(range(3))
    first, second = one.learn(images(8, 2)), other.learn(images(8, 2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_inpainting_keeps_the_visible_pixels_exactly() -> None:
    made = learner(2, 4)
    image = images(5) * 1.3  # beyond the bounds, to see that nothing clamps them
    mask = torch.zeros(5, 1, 4, 4, dtype=torch.bool)
    mask[:, :, :2] = True
    states = made.sample(range(5), fixed=(image, mask), keep=1)
    for state in states[4]:
        assert torch.equal(state[mask], image[mask])
    assert not torch.isclose(states[4][-1][~mask], image[~mask]).all()
    assert torch.equal(states[2][-1][:, :, 0], shrink(image, 2)[:, :, 0])
    assert torch.allclose(states[1][-1].flatten(), image[:, :, :2].mean((1, 2, 3)))


def test_smooth_filling_keeps_what_is_known_and_carries_it_on() -> None:
    known = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    known[..., :4] = True
    plane = torch.full((1, 1, 8, 8), 0.3)
    filled = carry_on(plane * known, known.float())
    assert torch.allclose(filled, plane)
    slope = torch.linspace(-1, 1, 8).repeat(1, 1, 8, 1)
    filled = carry_on(slope * known, known.float())
    assert torch.equal(filled[known], slope[known])
    assert filled.min() >= -1 and filled.max() <= slope[known].max() + 1e-6


def test_half_the_pace_is_half_the_step_at_the_same_temperature() -> None:
    model = learner(2, 4)
    image, mask = torch.zeros(3, 1, 4, 4), torch.zeros(3, 1, 4, 4, dtype=torch.bool)
    mask[..., 0] = True
    slow = model.sample([1, 2, 3], fixed=(image, mask), pace=0.5)[4][-1]
    for grid in model.settings.grids:
        object.__setattr__(grid, "step_size", grid.step_size * 0.5)
        object.__setattr__(grid, "noise", grid.noise * 0.5**0.5)
    assert torch.allclose(slow, model.sample([1, 2, 3], fixed=(image, mask))[4][-1])


def test_holes_are_filled_differently_by_seed() -> None:
    made = learner(2, 4)
    image, mask = images(1).expand(2, 1, 4, 4), torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    mask[:, :, :, 0] = True
    filled = made.sample([1, 2], fixed=(image, mask))[4][-1]
    assert (filled[0, :, :, 1:] - filled[1, :, :, 1:]).abs().mean() > 0.01


def test_kept_chains_start_at_the_grid_below() -> None:
    made = learner(2, 4, start_noise=0.0)
    states = made.sample(range(3), keep=1)
    assert [len(states[size]) for size in (1, 2, 4)] == [1, 4, 4]
    assert torch.equal(states[4][0], expand(states[2][-1], 4))


def test_histogram_draws_the_training_means() -> None:
    x = torch.arange(4.0)[:, None, None, None].expand(4, 1, 2, 2) / 4
    histogram = Histogram(1)
    histogram.fit(x)
    drawn = histogram.sample(range(400)).flatten()
    values, counts = drawn.unique(return_counts=True)
    assert torch.equal(values, torch.arange(4.0) / 4)
    assert counts.min() > 60


def test_histogram_of_any_length_is_loaded() -> None:
    histogram, other = Histogram(1), Histogram(1)
    histogram.fit(images(7))
    other.load_state_dict(histogram.state_dict())
    assert torch.equal(other.means, histogram.means)


def test_data_stay_within_the_bounds_of_the_chains() -> None:
    made = learner(4, data_noise=5.0)
    blurred = made.blur(images(), made.settings.grids[0])
    assert blurred.abs().max() <= 1.1 and blurred.std() > 0.9


def test_features_and_score_are_those_of_the_finest_grid() -> None:
    made = learner(2, 4)
    x = images(5)
    assert torch.equal(made.score(x), made.networks["4"](x))
    assert torch.equal(made.features(x), made.networks["4"].features(x))


@pytest.mark.parametrize("sizes", [(4, 2), (2, 2), (4, 6)])
def test_grids_that_do_not_grow_by_multiples_are_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must be a larger multiple"):
        settings(*sizes)


def test_grid_that_does_not_fit_the_one_below_is_refused() -> None:
    with pytest.raises(ValueError, match="grid 2 cannot stand on grid 4"):
        Multigrid(settings(2), learner(4))


@pytest.mark.parametrize("shape", [(5, 3, 4, 4), (5, 1, 6, 6), (5, 1, 4, 8)])
def test_images_that_do_not_shrink_to_the_grids_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"the images are \dx\dx\d"):
        Multigrid(settings(2, 4)).prepare(torch.zeros(shape))
