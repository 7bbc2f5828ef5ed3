"""Samplers that are networks: determinants, divergences, a posterior and a prior known exactly."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ebm.fit import fit
from ebm.learn.latent_amortised import LatentAmortised, LatentAmortisedSettings, divergence
from ebm.learner import FitSettings
from ebm.networks.coupling import Flow

ADAM = {"kind": "adam", "rate": 0.01, "momentum": 0.5}
CHAIN = {"steps": 5, "sample_steps": 20, "step_size": 0.01, "temperature": 1.0}
D, SD = 4, 0.5


def settings(**changes: Any) -> LatentAmortisedSettings:
    network = {"kind": "mlp", "dim": D, "widths": [32], "scale": 1.0, "classes": 4}
    given = {
        **{"latent": 2, "optimiser": ADAM},
        "prior": {"widths": [16], "chain": CHAIN, "decay": 0.0, "optimiser": ADAM},
        "decoder": {"kind": "point", "dim": D, "widths": [], "sd": SD},
        "posterior": {
            **{"start": "encoder", "chain": CHAIN},
            "encoder": {"network": network, "optimiser": ADAM},
        },
        "sampler": {"couplings": 4, "width": 16, "optimiser": ADAM},
    }
    return LatentAmortisedSettings.model_validate(given | changes)


@pytest.mark.parametrize("dim", [2, 3])
def test_log_determinant_is_autograds_own(dim: int) -> None:
    torch.manual_seed(0)
    flow = Flow(dim, couplings=3, width=8).double()
    for parameter in flow.parameters():
        nn.init.normal_(parameter, std=0.4)
    e = torch.randn(5, dim, dtype=torch.float64)
    _, log_det = flow(e)
    for row, found in zip(e, log_det, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda x: flow(x[None])[0][0], row)
        assert torch.allclose(found, torch.linalg.slogdet(jacobian).logabsdet)


def test_a_flow_needs_two_values() -> None:
    with pytest.raises(ValueError, match="latent is 1; couplings split z in two"):
        Flow(1, 2, 4)


def test_divergence_is_that_of_normals() -> None:
    mean, log_variance = torch.randn(6, 3), torch.randn(6, 3)
    own = torch.distributions.Normal(mean, (log_variance / 2).exp())
    exact = torch.distributions.kl_divergence(own, torch.distributions.Normal(0, 1)).sum(1)
    assert torch.allclose(divergence(mean, log_variance), exact, atol=1e-5)


def test_sampler_learns_a_prior_that_is_known() -> None:
    """With f(z) = a z_1 the prior is N((a, 0), I), and the flow has to move by a."""
    torch.manual_seed(0)
    learner = LatentAmortised(settings())

    class Slope(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return 0.8 * z[:, 0]

    learner.networks["f"] = Slope()
    for _ in range(300):
        learner.learn_sampler(200)
    z = learner.draw_prior(range(2000))[-1]
    assert torch.allclose(z.mean(0), torch.tensor([0.8, 0.0]), atol=0.12)
    assert torch.allclose(z.T.cov(), torch.eye(2), atol=0.2)


def test_encoder_learns_the_posterior_of_a_linear_model() -> None:
    torch.manual_seed(0)
    w = torch.randn(D, 2)
    x = torch.randn(600, 2) @ w.T + SD * torch.randn(600, D)
    learner = LatentAmortised(settings(prior=settings().prior.model_copy(update={"decay": 0.1})))
    given = {
        **{"updates": 500, "batch": 100, "average": 0.95, "final_rate": 0.1, "check_every": 50},
        **{"checkpoint_every": 500, "gap_limit": 1e3, "rollbacks": 0, "slow_down": 0.5},
    }
    fitted = fit(learner, x, FitSettings.model_validate(given), seed=0)
    learner.networks.load_state_dict(fitted.networks.state_dict())
    before = float(x.var(0).mean())
    z = learner.posterior(x, steps=1)
    error = float((learner.decoder.g(z) - x).detach().square().mean())
    assert error < 1.5 * SD**2 < before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"prior": None}, "needs no sampler"),
        ({"posterior": {"start": "prior", "chain": CHAIN}}, "it is q_phi: give start: encoder"),
    ],
)
def test_settings_without_what_is_sampled_are_refused(changes: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        settings(**changes)
