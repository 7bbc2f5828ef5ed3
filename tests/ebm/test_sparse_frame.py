"""Sparse FRAME: wavelets selected in closed form, potentials by formula, chains of known law."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ebm.fit import fit
from ebm.learn.maximum_likelihood import MaximumLikelihood
from ebm.learn.maximum_likelihood_settings import MaximumLikelihoodSettings
from ebm.learner import FitSettings
from ebm.networks.colour import Colour, Coloured
from ebm.networks.filters import bank
from ebm.networks.sparse_frame import SOFT, SparseFrame, Wavelets, pursuit
from ebm.samplers.langevin import grad

SIZE = 8


def wavelets(size: int = SIZE) -> Wavelets:
    return Wavelets(bank([0.25], 2).square(), size)


def network(**changes: Any) -> SparseFrame:
    torch.manual_seed(0)
    given: dict[str, Any] = {"size": SIZE, "scales": [0.25], "orientations": 2, "selected": 20}
    f = SparseFrame(**{**given, **changes})
    f.observe(torch.randn(50, 1, SIZE, SIZE) + 0.3)
    nn.init.normal_(f.head.weight)
    return f


def test_wavelets_have_unit_norm_and_responses_are_inner_products_with_them() -> None:
    made, x = wavelets(), torch.randn(3, 1, SIZE, SIZE)
    r = made(x).flatten(1)
    for place in (0, 70, 130, 3 * SIZE**2, 3 * SIZE**2 + 63, 5 * SIZE**2 + 27):
        b = made[place]
        assert float(b.norm()) == pytest.approx(1, abs=1e-4)
        assert torch.allclose(x.flatten(1) @ b.flatten(), r[:, place], atol=1e-4)


def white() -> Colour:
    return Colour(SIZE, bounded=False)


def along(second: Tensor) -> Tensor:
    """Images (D, 1, H, H) whose second moments are `second`, (D, D), exactly."""
    values, vectors = torch.linalg.eigh(second)
    made = (vectors * values.clamp(min=0).sqrt()).T * len(second) ** 0.5
    return made.view(len(second), 1, SIZE, SIZE)


def test_pursuit_selects_along_what_the_data_differ_from_white_noise_the_most_first() -> None:
    """White noise but for a pixel of 9 times the variance, and a blob, elsewhere, of a quarter."""
    made, d = wavelets(), SIZE**2
    pixel, blob = 9, 3 * d + 5 * SIZE + 5
    second = torch.eye(d)
    for place, ratio in ((pixel, 9.0), (blob, 0.25)):
        b = made[place].flatten()
        second += (ratio - 1) * torch.outer(b, b)
    found = pursuit(along(second), white(), made, 2)
    assert found.tolist() == [pixel, blob]


def test_pursuit_goes_on_from_the_nearest_gaussian_as_computed_by_matrices() -> None:
    made, d = wavelets(), SIZE**2
    x = torch.randn(90, 1, SIZE, SIZE) * torch.linspace(0.5, 2, SIZE)
    every = torch.stack([made[j] for j in range(made(x[:1]).numel())]).flatten(1).double()
    second = (x.flatten(1).T @ x.flatten(1) / len(x)).double()
    cov = torch.eye(d).double()
    found: list[int] = []
    for _ in range(6):
        rho = ((every @ second) * every).sum(1) / ((every @ cov) * every).sum(1)
        gain = rho - 1 - rho.log()
        gain[found] = -1
        i = int(gain.argmax())
        found.append(i)
        seen = cov @ every[i]
        cov = cov + (rho[i] - 1) * torch.outer(seen, seen) / (every[i] @ seen)
        own = [float(every[i] @ each @ every[i]) for each in (cov, second)]
        assert own[0] == pytest.approx(own[1])
    alike = every[pursuit(x, white(), made, 6)] @ every[found].T  # cut off at an edge, some are one
    assert alike.diagonal().abs().tolist() == pytest.approx([1.0] * 6, abs=1e-5)


def test_gain_is_twice_the_divergence_of_the_gaussians() -> None:
    """KL(N(0, C') | N(0, C)) = (tr C^-1 C' - D - log det C' / C) / 2 = (rho - 1 - log rho) / 2."""
    b, rho = wavelets()[70].flatten().double(), 3.0
    root = torch.randn(SIZE**2, SIZE**2).double()
    cov = root @ root.T / SIZE**2 + torch.eye(SIZE**2)
    seen = cov @ b
    after = cov + (rho - 1) * torch.outer(seen, seen) / (b @ seen)
    step = torch.linalg.solve(cov, after)
    kl = (step.trace() - SIZE**2 - torch.linalg.slogdet(step)[1]) / 2
    assert float(2 * kl) == pytest.approx(rho - 1 - torch.tensor(rho).log().item(), abs=1e-6)


@pytest.mark.parametrize("potential", ["two_sided", "rectified"])
def test_f_is_the_sum_of_the_potentials_of_responses(potential: str) -> None:
    f, x = network(potential=potential), torch.randn(4, 1, SIZE, SIZE)
    r = x.flatten(1) @ (f.wavelets / f.sd[:, None]).T
    size = (r.square() + SOFT**2).sqrt()
    a, b = f.parts()
    assert torch.allclose(f(x), size @ a + r @ b, atol=1e-3)
    slope = ((r / size * a + b) / f.sd) @ f.wavelets
    assert torch.allclose(grad(f, x).flatten(1), slope, atol=1e-3)


def test_two_sided_potentials_tell_an_image_from_its_negative_and_rectified_do_not() -> None:
    x = torch.randn(4, 1, SIZE, SIZE)
    two_sided, rectified = network(), network(potential="rectified")
    assert float((two_sided(x) - two_sided(-x)).detach().abs().min()) > 0.01
    assert torch.allclose(rectified(x), rectified(-x), atol=1e-4)


def test_f_is_each_items_own_and_the_same_when_loaded() -> None:
    f, x = network(), torch.randn(5, 1, SIZE, SIZE)
    assert torch.allclose(f(x)[2:3], f(x[2:3]), atol=1e-4)
    other = SparseFrame(SIZE, [0.25], 2, selected=20)
    assert not bool(other(x).any())
    other.load_state_dict(f.state_dict())
    assert torch.equal(other(x), f(x))
    assert torch.allclose(f.head(f.features(x)).squeeze(1), f(x))


def learner(**changes: Any) -> MaximumLikelihood:
    settings = {
        "network": {
            **{"kind": "sparse_frame", "size": SIZE, "scales": [0.25], "orientations": 2},
            **{"selected": 64, "potential": "two_sided"},
        },
        "reference": "coloured",
        "start": {
            **{"start": "persistent", "noise": "gaussian", "scale": 1.0, "chains": 200},
            "rejuvenation": 0.0,
        },
        "sample_from": "chains",
        "chain": {
            **{"steps": 2, "sample_steps": 20, "step_size": 0.04, "temperature": 1.0},
            **{"leapfrogs": 8, "coloured": True},
        },
        "data_noise": 0.0,
        "decay": 0.0,
        "optimiser": {"kind": "adam", "rate": 0.05, "momentum": 0.5},
        **changes,
    }
    torch.manual_seed(0)
    return MaximumLikelihood(MaximumLikelihoodSettings.model_validate(settings))


def test_chains_sample_the_coloured_reference_where_f_is_zero() -> None:
    """At f = 0, x = A u with u white: a Gaussian of known moments, by Hamiltonian Monte Carlo."""
    mine = learner()
    smooth = torch.nn.functional.avg_pool2d(torch.randn(300, 1, SIZE + 2, SIZE + 2), 3, 1)
    mine.prepare(smooth)
    x = mine.sample(list(range(400)))[SIZE][-1]
    u = mine.f.colour.strip(x)  # type: ignore[operator, union-attr]
    assert float(u.var()) == pytest.approx(1, abs=0.05)
    assert abs(float(u.mean())) < 0.03
    white_in_x = Coloured(mine.f)(x)
    assert torch.allclose(white_in_x, -u.flatten(1).square().sum(1) / 2, atol=1e-3)


def test_learning_matches_means_and_sizes_of_responses_that_the_reference_has_not() -> None:
    """Bright on the left, dark on the right, where the reference is the same everywhere."""
    data = torch.linspace(0.5, -0.5, SIZE) + 0.3 * torch.randn(200, 1, SIZE, SIZE)
    mine = learner()
    settings = {
        **{"updates": 60, "batch": 100, "average": 0.9, "final_rate": 0.1, "check_every": 10},
        **{"checkpoint_every": 60, "gap_limit": 1e6, "rollbacks": 0, "slow_down": 1.0},
    }
    fitted = fit(mine, data, FitSettings.model_validate(settings), seed=0)
    assert 0.6 < fitted.curves["acceptance"][-1] <= 1
    x = mine.sample(list(range(200)))[SIZE][-1]
    near = (x.mean(0) - data.mean(0)).square().mean().sqrt()
    assert float(near) < 0.3 * float(data.mean(0).std())


def test_what_cannot_be_is_refused_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="selected is 9999; there are 512 wavelets"):
        SparseFrame(SIZE, [0.25], 2, selected=9999)
    convnet = {"kind": "convnet", "size": 8, "channels": 1, "width": 4}
    with pytest.raises(ValueError, match="takes no spectrum from the data"):
        learner(network=convnet, chain={"steps": 1, "sample_steps": 1, "step_size": 1, "noise": 0})
