import numpy as np
import pytest
import torch

from ebm.apply.boxes import make_masks
from ebm.apply.inpaint import (
    best_errors,
    complete,
    diffusion_fill,
    hole_errors,
    nearest_fill,
    spread,
)
from ebm.learn.multigrid import Multigrid

KINDS = ["half", "block", "pixels"]


def images(count: int, seed: int = 0, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, channels, 8, 8)).astype(np.float32)


def masks(kind: str, count: int) -> np.ndarray:
    return make_masks(kind, count, size=8, hidden=0.5, seed=1)


def ramp(slope_x: float, slope_y: float) -> np.ndarray:
    rows, columns = np.mgrid[:8, :8] / 8
    return (slope_x * columns + slope_y * rows - 0.5)[None, None].astype(np.float32)


@pytest.fixture(scope="module")
def learner() -> Multigrid:
    grid = {"width": 4, "steps": 3, "step_size": 0.1, "noise": 0.05, "start_noise": 0.1}
    rest = {"bounds": 1.1, "data_noise": 0.0, "rate": 0.001, "momentum": 0.5, "decay": 0.0}
    grids = [{"size": size, **grid, **rest} for size in (2, 4, 8)]
    torch.manual_seed(0)
    learner = Multigrid(Multigrid.Settings.model_validate({"channels": 1, "grids": grids}))
    learner.prepare(torch.from_numpy(images(20)))
    return learner


def test_masks_hide_what_they_say() -> None:
    assert (~masks("half", 2)).sum((1, 2, 3)).tolist() == [32, 32]
    assert masks("half", 1)[..., :4].all() and not masks("half", 1)[..., 4:].any()
    assert (~masks("block", 1)).sum() == 16 and not masks("block", 1)[..., 2:6, 2:6].any()
    assert (~make_masks("pixels", 5, 8, 0.25, 0)).sum((1, 2, 3)).tolist() == [16] * 5
    assert len(np.unique(masks("pixels", 5).reshape(5, -1), axis=0)) == 5


@pytest.mark.parametrize("kind", KINDS)
def test_visible_pixels_are_kept_exactly(learner: Multigrid, kind: str) -> None:
    x, mask = images(4), masks(kind, 4)
    fills = [*complete(learner, x, mask, 2, seed=0), diffusion_fill(x, mask)]
    fills.append(nearest_fill(x, mask, images(9, seed=3)))
    visible = np.broadcast_to(mask, x.shape)
    for fill in fills:
        assert (fill[visible] == x[visible]).all()
        assert (fill[~visible] != x[~visible]).all()


def test_completions_differ_and_each_repeats_under_its_seed(learner: Multigrid) -> None:
    x, mask = images(3), masks("half", 3)
    first, again = (complete(learner, x, mask, 2, seed=7) for _ in range(2))
    assert (first == again).all()
    assert (first[0] != first[1])[~np.broadcast_to(mask, x.shape)].all()
    assert np.abs(first).max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_completions_do_not_see_what_is_hidden(learner: Multigrid, kind: str) -> None:
    x, mask = images(3), masks(kind, 3)
    other = np.where(mask, x, images(3, seed=9))
    assert (complete(learner, x, mask, 1, 0) == complete(learner, other, mask, 1, 0)).all()


def test_diffusion_is_exact_on_linear_ramps() -> None:
    x = np.concatenate([ramp(1, 0), ramp(0, -1), ramp(0.4, 0.6)])
    mask = masks("block", 3)
    assert diffusion_fill(np.where(mask, x, 9), mask) == pytest.approx(x, abs=1e-6)


def harmonic(size: int) -> np.ndarray:
    """Real parts of (x + i y)^n, n = 2 and 3: the five-point sum is exactly 0 on them, too."""
    rows, columns = np.mgrid[:size, :size] / size - 0.4
    square = columns**2 - rows**2
    cube = columns**3 - 3 * columns * rows**2
    return np.stack([2 * square, 4 * cube, 3 * columns * rows])[None]


@pytest.mark.parametrize("size", [8, 32])
def test_diffusion_finds_a_harmonic_function_from_its_values_round_the_hole(size: int) -> None:
    x = harmonic(size)
    mask = make_masks("block", 1, size, 0.5, 0)
    assert np.abs(x[..., ~mask[0, 0]]).max() > 0.1
    fill = diffusion_fill(np.where(mask, x, 9), mask)
    assert fill == pytest.approx(x, abs=1e-10)
    assert hole_errors(fill, x, mask).psnr > 190


def test_diffusion_satisfies_the_laplace_equation_in_every_channel() -> None:
    x, mask = images(3, channels=3), masks("pixels", 3)
    fill = diffusion_fill(x, mask).astype(np.float64)
    around = np.pad(fill, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    four = (
        around[..., :-2, 1:-1],
        around[..., 2:, 1:-1],
        around[..., 1:-1, :-2],
        around[..., 1:-1, 2:],
    )
    laplace = sum(four) - 4 * fill
    assert laplace[np.broadcast_to(~mask, x.shape)] == pytest.approx(0, abs=1e-5)
    assert fill.max() <= x.max() and fill.min() >= x.min()


def test_nearest_fill_finds_the_image_that_agrees_where_it_can_be_seen() -> None:
    training, mask = images(12), masks("pixels", 3)
    x = np.where(mask, training[[7, 2, 5]], 0)
    assert (nearest_fill(x, mask, training) == training[[7, 2, 5]]).all()


def test_errors_of_a_known_offset_on_the_hole() -> None:
    x, mask = images(4), masks("block", 4)
    off = np.where(mask, x + 5, x + np.float32(0.2))  # what is visible does not count
    found = hole_errors(off, x, mask)
    assert found.mse == pytest.approx(0.04, rel=1e-5)
    assert found.psnr == pytest.approx(20, rel=1e-5)  # 10 log10(4 / .04)
    assert hole_errors(x, x, mask).mse == 0


def test_best_completion_is_chosen_image_by_image_on_the_hole_alone() -> None:
    x, mask = images(2), masks("block", 2)
    off = np.float32([[0.4, 0.1], [0.2, 0.3]])[:, :, None, None, None]
    fills = np.where(mask, x + 5 * (1 - off), x + off)
    assert best_errors(fills, x, mask).mse == pytest.approx((0.2**2 + 0.1**2) / 2, rel=1e-5)
    assert best_errors(fills[:1], x, mask) == hole_errors(fills[0], x, mask)


def test_a_draw_has_twice_the_error_of_the_mean_where_completions_are_right() -> None:
    """Truth and completions from one law: E |x' - x|^2 = 2 var, that of m draws' mean 1 + 1/m."""
    rng = np.random.default_rng(0)
    draws = rng.normal(0, 0.3, (5, 400, 1, 8, 8)).astype(np.float32)
    truth, fills, mask = draws[0], draws[1:], masks("block", 400)
    variance = spread(fills, mask) ** 2
    assert hole_errors(fills[0], truth, mask).mse == pytest.approx(2 * variance, rel=0.05)
    assert hole_errors(fills.mean(0), truth, mask).mse == pytest.approx(1.25 * variance, rel=0.05)
    assert best_errors(fills, truth, mask).mse < hole_errors(fills, truth, mask).mse


def test_spread_is_the_deviation_among_completions() -> None:
    x, mask = images(2), masks("half", 2)
    fills = np.stack([x, x + 1, x + 2])
    assert spread(fills, mask) == pytest.approx(1, rel=1e-6)
    assert spread(np.stack([x, x]), mask) == 0


def test_bad_input_is_refused() -> None:
    x, mask = images(2), masks("half", 2)
    with pytest.raises(ValueError, match="there is no mask 'ring'"):
        masks("ring", 1)
    with pytest.raises(ValueError, match="the hidden share 1.0"):
        make_masks("pixels", 1, 8, 1.0, 0)
    with pytest.raises(ValueError, match="no visible pixel"):
        diffusion_fill(x, np.zeros_like(mask))
    with pytest.raises(ValueError, match="hides no pixel"):
        hole_errors(x, x, np.ones_like(mask))
    with pytest.raises(ValueError, match="needs 2 or more"):
        spread(x[None], mask)


@pytest.mark.parametrize(
    ("shape", "kind"),
    [((2, 8, 8), bool), ((1, 1, 8, 8), bool), ((2, 1, 8, 4), bool), ((2, 1, 8, 8), np.uint8)],
)
def test_mask_of_a_wrong_shape_or_type_is_refused_even_where_it_would_broadcast(
    learner: Multigrid, shape: tuple[int, ...], kind: type
) -> None:
    x, mask = images(2), np.zeros(shape, kind)
    mask[..., :2] = 1
    for use in (
        lambda: complete(learner, x, mask, 1, 0),
        lambda: diffusion_fill(x, mask),
        lambda: nearest_fill(x, mask, x),
        lambda: hole_errors(x, x, mask),
    ):
        with pytest.raises(ValueError, match=r"the mask is .* it must be bool of shape \(2, 1, 8"):
            use()
