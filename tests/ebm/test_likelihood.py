"""log p(x) of latent-space models, against linear ones where it is known exactly."""

from typing import Any

import pytest
import torch

from ebm.learn.latent_prior import LatentPrior
from ebm.learn.latent_settings import LatentPriorSettings
from ebm.metrics.likelihood import likelihood, prior_log_z

D, SD = 6, 0.4
ADAM = {"kind": "adam", "rate": 0.01, "momentum": 0.5}
CHAIN = {"steps": 5, "sample_steps": 300, "step_size": 0.02, "temperature": 1.0}


def made(prior: Any = None) -> LatentPrior:
    torch.manual_seed(1)
    given = {
        **{"latent": 2, "prior": prior, "optimiser": ADAM},
        "decoder": {"kind": "point", "dim": D, "widths": [], "sd": SD},
        "posterior": {"start": "prior", "chain": CHAIN},
    }
    return LatentPrior(LatentPriorSettings.model_validate(given))


def test_likelihood_of_a_linear_model_is_that_of_its_gaussian() -> None:
    learner, x = made(), torch.randn(8, D)
    found = likelihood(learner, x, steps=300, draws=400, seed=0)
    layer = learner.decoder.g.body[0]
    w, b = layer.weight.detach(), layer.bias.detach()
    normal = torch.distributions.MultivariateNormal(b, w @ w.T + SD**2 * torch.eye(D))
    assert torch.allclose(found.values.float(), normal.log_prob(x), atol=0.1)
    assert float(found.share.min()) > 0.5
    assert float(found.log_z.value) == pytest.approx(0, abs=4 * float(found.log_z.error))


@pytest.mark.parametrize("a", [0.7, 6.0], ids=["near", "far"])
def test_prior_is_normalised(a: float) -> None:
    """With f(z) = a z_1, log Z is a^2 / 2, and x has the mean of a prior shifted by a."""
    learner = made({"widths": [4], "chain": CHAIN, "decay": 0.0, "optimiser": ADAM})

    class Slope(torch.nn.Module):
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return a * z[:, 0]

    learner.networks["f"] = Slope()
    log_z = prior_log_z(learner, 200_000, torch.Generator().manual_seed(0))
    assert float(log_z.value) == pytest.approx(a**2 / 2, abs=4 * float(log_z.error))
    x = torch.randn(6, D)
    found = likelihood(learner, x, steps=400, draws=500, seed=0)
    layer = learner.decoder.g.body[0]
    w, b = layer.weight.detach(), layer.bias.detach()
    mean = b + w @ torch.tensor([a, 0.0])
    normal = torch.distributions.MultivariateNormal(mean, w @ w.T + SD**2 * torch.eye(D))
    assert torch.allclose(found.values.float(), normal.log_prob(x), atol=0.1)


def test_an_estimate_needs_two_draws() -> None:
    with pytest.raises(ValueError, match="draws is 1"):
        likelihood(made(), torch.randn(2, D), steps=1, draws=1, seed=0)
