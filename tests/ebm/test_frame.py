"""FRAME: its gradient by formula, chains of known law, and statistics that are matched."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ebm.energy import tilt
from ebm.fit import fit
from ebm.health import Diverged
from ebm.learn.maximum_likelihood import MaximumLikelihood
from ebm.learn.maximum_likelihood_settings import MaximumLikelihoodSettings
from ebm.learn.parts import ChainSettings, ColouredChainSettings
from ebm.learner import FitSettings
from ebm.metrics.response_statistics import apart, histograms, maps, unit
from ebm.networks.filters import bank, noise_bank
from ebm.networks.frame import Colour, Frame, Responses
from ebm.samplers.langevin import grad


def frame(**changes: Any) -> Frame:
    made = {"size": 16, "scales": [0.25], "orientations": 2, "knots": 9, **changes}
    torch.manual_seed(0)
    f = Frame(**made)
    nn.init.normal_(f.weight)
    return f


def test_filters_have_unit_norm_and_no_mean_but_intensity() -> None:
    for bank_ in (bank([0.25, 0.5], 3), noise_bank(4, 7, 0)):
        for name, each in zip(bank_.names, bank_.filters, strict=True):
            assert float(each.norm()) == pytest.approx(1, abs=1e-5)
            assert name == "intensity" or abs(float(each.sum())) < 1e-5, name
            assert each.shape[0] == each.shape[1] and len(each) % 2


def test_responses_are_inner_products_with_the_filters_in_place() -> None:
    filters = bank([0.25], 2).square()
    x = torch.randn(1, 1, 16, 16)
    r = Responses(filters)(x)
    side = filters.shape[-1]
    for k, (row, column) in enumerate([(5, 9), (8, 8), (10, 4)]):
        at = (
            slice(row - side // 2, row + side // 2 + 1),
            slice(column - side // 2, column + side // 2 + 1),
        )
        assert float(r[0, k, row, column]) == pytest.approx(
            float((x[0, 0][at] * filters[k]).sum()), abs=1e-4
        )


@pytest.mark.parametrize(
    "changes", [{}, {"potential": "rectified"}, {"potential": "rectified", "homogeneous": False}]
)
def test_gradient_is_the_filters_turned_by_the_potentials_slopes(changes: dict[str, Any]) -> None:
    """grad_I f = sum_k B_k^T lambda_k'(r_k): the reaction and diffusion of GRADE."""
    f, x = frame(**changes), torch.randn(2, 1, 16, 16)
    r = f.scaled(x).detach().requires_grad_(True)
    (slopes,) = torch.autograd.grad(f.potentials(r).sum(), r)
    spectrum = f.responses.spectrum(16, 16).conj() / f.sd[:, None, None]
    turned = torch.fft.irfft2((torch.fft.rfft2(slopes) * spectrum).sum(1), s=(16, 16))
    assert torch.allclose(grad(f, x), turned[:, None], atol=1e-4)


@pytest.mark.parametrize("changes", [{}, {"potential": "rectified"}])
def test_f_is_the_weighted_sum_of_its_statistics(changes: dict[str, Any]) -> None:
    f, x = frame(**changes), torch.randn(3, 1, 16, 16)
    assert torch.allclose(
        (f.statistics(x) * f.weight).flatten(1).sum(1), f(x), rtol=1e-4, atol=1e-3
    )


@pytest.mark.parametrize("changes", [{}, {"potential": "rectified", "homogeneous": False}])
def test_f_is_each_items_own_finite_in_its_slope_and_the_same_when_loaded(
    changes: dict[str, Any],
) -> None:
    f, x = frame(**changes), torch.randn(5, 1, 16, 16)
    f.observe(x)
    assert torch.allclose(f(x)[2:3], f(x[2:3]), rtol=1e-4, atol=1e-3)
    assert bool(grad(f, x).isfinite().all()) and bool((grad(f, x).flatten(1).norm(dim=1) > 0).all())
    other = frame(**changes)
    other.load_state_dict(f.state_dict())
    assert torch.equal(other(x), f(x))


def test_homogeneous_f_does_not_know_where_it_is() -> None:
    f, x = frame(), torch.randn(2, 1, 16, 16)
    assert torch.allclose(f(x.roll((3, 5), (2, 3))), f(x), rtol=1e-4)
    assert f(torch.randn(1, 1, 40, 24)).shape == (1,)


def test_unit_of_a_response_is_its_deviation_over_the_data() -> None:
    f, x = frame(), torch.randn(5, 1, 16, 16)
    f.observe(x)
    assert torch.allclose(f.scaled(x).std((0, 2, 3)), torch.ones(len(f.names)), atol=1e-3)


def test_colour_is_undone_and_takes_the_spectrum_of_the_data() -> None:
    colour, x = Colour(16), torch.randn(400, 1, 16, 16)
    assert torch.allclose(colour.strip(colour.paint(x)), x, atol=1e-5)
    smooth = torch.nn.functional.avg_pool2d(x, 2, 1, 1)[..., :16, :16]
    colour.observe(smooth)
    power = torch.fft.fft2(smooth).abs().square().mean((0, 1)).sqrt() / 16
    assert float((colour.amplitude.log() - power.log())[:7, :7].abs().max()) < 1  # type: ignore[operator, index, union-attr]
    assert float(colour.amplitude.max()) <= float(smooth.std())  # type: ignore[operator, union-attr]
    for height, width in ((32, 24), (11, 40)):
        other = colour.at(height, width)
        mirror = other.roll((-1, -1), (0, 1)).flip(0, 1)
        assert torch.allclose(other, mirror), "A(k) and A(-k) differ"
        assert other[0, 0] == colour.amplitude[0, 0]
        u = torch.randn(2, 1, height, width)
        assert torch.allclose(colour.strip(colour.paint(u)), u, atol=1e-5)
    assert torch.allclose(colour.at(32, 32)[::2, ::2], colour.amplitude)


@pytest.mark.parametrize(
    "kind", [{"coloured": True}, {"leapfrogs": 3}, {"leapfrogs": 3, "coloured": True}]
)
def test_chains_of_any_kind_sample_the_reference_where_f_is_zero(kind: dict[str, Any]) -> None:
    """theta = 0, q = N(0, 1): variance 1, to the step's own bias."""
    f, seeds = frame(size=8), list(range(400))
    nn.init.zeros_(f.weight)
    f.observe(torch.randn(50, 1, 8, 8))
    f.requires_grad_(False)
    chain = ColouredChainSettings(steps=1, sample_steps=1, step_size=0.1, temperature=1.0, **kind)
    x, record = chain.run(tilt(f, 1.0), torch.zeros(400, 1, 8, 8), steps=120, seeds=seeds)
    assert float(x.var()) == pytest.approx(1, abs=0.05)
    assert abs(float(x.mean())) < 0.03
    if "leapfrogs" in kind:
        assert 0.6 < float(record.acceptance.mean()) <= 1  # type: ignore[union-attr]


def learner(**changes: Any) -> MaximumLikelihood:
    settings = {
        "network": {
            **{"kind": "frame", "size": 16, "scales": [0.25], "orientations": 2},
            **{"potential": "histogram", "knots": 9, "homogeneous": True},
        },
        "reference": 1.0,
        "start": {
            "start": "persistent",
            "noise": "gaussian",
            "scale": 1.0,
            "chains": 20,
            "rejuvenation": 0.0,
        },
        "sample_from": "chains",
        "chain": {
            "steps": 5,
            "sample_steps": 10,
            "step_size": 0.2,
            "temperature": 1.0,
            "coloured": True,
        },
        "data_noise": 0.0,
        "decay": 0.0,
        "optimiser": {"kind": "adam", "rate": 0.02, "momentum": 0.5},
        **changes,
    }
    torch.manual_seed(0)
    return MaximumLikelihood(MaximumLikelihoodSettings.model_validate(settings))


FIT = FitSettings.model_validate(
    {
        **{"updates": 150, "batch": 20, "average": 0.9, "final_rate": 0.1, "check_every": 10},
        **{"checkpoint_every": 150, "gap_limit": 1e6, "rollbacks": 0, "slow_down": 1.0},
    }
)


def test_white_noise_leaves_the_potentials_flat() -> None:
    mine = learner()
    fitted = fit(mine, torch.randn(40, 1, 16, 16), FIT, seed=0)
    table = fitted.networks.get_submodule("f").weight
    middle = table[:, 2:-2]  # knots that white noise visits
    assert float((middle - middle.mean(1, keepdim=True)).detach().abs().mean()) < 0.1


def test_learning_matches_the_histograms_of_what_is_no_gaussian() -> None:
    """Independent pixels of Laplace's law: nearer than white noise, by more than chance."""
    data = torch.distributions.Laplace(0.0, 0.5**0.5).sample((60, 1, 16, 16))
    mine = learner()
    fit(mine, data, FIT, seed=0)
    respond = mine.f.responses
    sd = unit(data, respond)
    seen = [
        histograms(x, respond, sd) for x in (data, mine.chains.states, torch.randn(60, 1, 16, 16))
    ]
    assert apart(seen[0], seen[1]) < 0.7 * apart(seen[0], seen[2])


def test_distances_are_those_of_the_definition() -> None:
    one = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    other = torch.tensor([[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]])
    assert apart(one, other) == pytest.approx((0.5 + 1.0) / 2)
    assert apart(torch.zeros(2, 3, 3), torch.full((2, 3, 3), 2.0)) == pytest.approx(2.0)


def test_statistics_are_those_of_numpy() -> None:
    x, respond = torch.randn(3, 1, 16, 16), Responses(bank([0.25], 2).square())
    sd, r = unit(x, respond), respond(x).numpy()
    assert sd.flatten().tolist() == pytest.approx(
        r.transpose(1, 0, 2, 3).reshape(len(r[0]), -1).std(1, ddof=1).tolist(), rel=1e-4
    )
    scaled = r[:, 1] / float(sd[1])
    counts = np.histogram(scaled.clip(-3.9999, 3.9999), bins=40, range=(-4, 4))[0] / scaled.size
    assert histograms(x, respond, sd)[1].tolist() == pytest.approx(counts.tolist(), abs=1e-6)
    weights = torch.tensor([[1 / 3] * 3, [0.0, 1.0, 0.0]])
    mean, second = maps(x, respond, sd, weights)[:, 1].numpy()
    assert mean == pytest.approx(np.abs(scaled).mean(0), rel=1e-4)
    assert second == pytest.approx(np.abs(scaled[1]), rel=1e-4)


def test_maps_of_many_pictures_are_the_sum_of_their_parts() -> None:
    x, respond = torch.randn(120, 1, 8, 8), Responses(bank([0.2], 2).square())
    weights = torch.rand(3, 120)
    found = maps(x, respond, unit(x, respond), weights)
    right = torch.tensordot(weights, (respond(x) / unit(x, respond)).abs(), 1)
    torch.testing.assert_close(found, right)


def test_no_filter_that_was_fitted_is_among_those_that_were_not() -> None:
    f = frame()
    seen = {name: view.filters for name, view in f.views().items()}
    for other in ("unfitted", "noise"):
        for one in seen["fitted"]:
            assert not any(alike(one, each) for each in seen[other])


def alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Tell whether two filters are the same, whatever zeros stand around them."""
    side = max(len(one), len(other))
    wide = [F.pad(each, [(side - len(each)) // 2] * 4) for each in (one, other)]
    return torch.allclose(*wide, atol=1e-6)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e38])
def test_what_is_not_finite_has_an_energy_that_is_not(value: float) -> None:
    """So that the judge sees it, and a sampler refuses it."""
    x = torch.full((1, 1, 16, 16), value)
    assert not frame()(x).isfinite().any()


def test_chains_that_break_are_judged_and_taken_back() -> None:
    mine = learner(chain={"steps": 100, "sample_steps": 1, "step_size": 10.0, "temperature": 1.0})
    with pytest.raises(Diverged, match="likely cause"):
        fit(mine, torch.randn(40, 1, 16, 16), FIT, seed=0)


def test_what_cannot_be_is_refused_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="network.kind is 'convnet', which takes no spectrum"):
        learner(network={"kind": "convnet", "size": 8, "channels": 1, "width": 4})
    with pytest.raises(ValueError, match="give 'rectified'"):
        frame(homogeneous=False)
    with pytest.raises(ValueError, match="largest filter has side 7"):
        frame()(torch.zeros(1, 1, 5, 5))
    with pytest.raises(ValueError, match="leave one out"):
        ColouredChainSettings(
            **{"steps": 1, "sample_steps": 1, "step_size": 1.0, "noise": 0.0},
            **{"coloured": True, "bounds": 1.0},
        )
    with pytest.raises(ValueError, match="needs a temperature above 0"):
        ChainSettings(steps=1, sample_steps=1, step_size=1.0, noise=0.1, leapfrogs=2)
