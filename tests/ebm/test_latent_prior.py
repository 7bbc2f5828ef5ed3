"""Latent-space models: against posteriors, likelihoods and priors that are known exactly."""

from typing import Any

import pytest
import torch
from torch import Tensor

from ebm.fit import fit
from ebm.latent import log_joint, log_prior
from ebm.learn.latent_prior import LatentPrior
from ebm.learn.latent_settings import LatentPriorSettings
from ebm.learner import FitSettings
from ebm.networks.generator import DenseGenerator, GaussianDecoder, ImageGenerator

D, SD = 5, 0.5  # values of a point, and the decoder's noise
ADAM = {"kind": "adam", "rate": 0.02, "momentum": 0.5}
CHAIN = {"steps": 10, "sample_steps": 120, "step_size": 0.04, "temperature": 1.0}
ENERGY = {"widths": [16, 16], "chain": CHAIN, "decay": 0.0, "optimiser": {**ADAM, "rate": 0.003}}
POINT = {"kind": "point", "dim": D, "widths": [], "sd": SD}
FIT = {
    **{"updates": 250, "batch": 100, "average": 0.95, "final_rate": 0.05, "check_every": 50},
    **{"checkpoint_every": 250, "gap_limit": 1e3, "rollbacks": 0, "slow_down": 0.5},
}


def settings(**changes: Any) -> LatentPriorSettings:
    given = {
        **{"latent": 2, "prior": None, "decoder": POINT, "optimiser": ADAM},
        "posterior": {"start": "prior", "chain": CHAIN},
    }
    return LatentPriorSettings.model_validate(given | changes)


def made(**changes: Any) -> LatentPrior:
    torch.manual_seed(0)
    return LatentPrior(settings(**changes))


def linear(learner: LatentPrior) -> tuple[Tensor, Tensor]:
    """The weights, (D, d), and the bias of a linear generator."""
    layer = learner.decoder.g.body[0]
    return layer.weight.detach(), layer.bias.detach()


def exact_posterior(w: Tensor, b: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """The mean, (N, d), and covariance of z given x, of x = W z + b + SD e."""
    covariance = torch.linalg.inv(torch.eye(w.shape[1]) + w.T @ w / SD**2)
    return (x - b) @ w @ covariance / SD**2, covariance


def log_marginal(w: Tensor, b: Tensor, x: Tensor) -> float:
    """The mean log likelihood of x: (N, D) under N(b, W W^T + SD^2 I)."""
    normal = torch.distributions.MultivariateNormal(b, w @ w.T + SD**2 * torch.eye(len(b)))
    return float(normal.log_prob(x).mean())


def data(count: int = 500) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    w = torch.randn(D, 2, generator=generator)
    z, e = torch.randn(count, 2, generator=generator), torch.randn(count, D, generator=generator)
    return z @ w.T + SD * e, w


def test_log_likelihood_is_the_normals_own_and_counts_what_is_seen_alone() -> None:
    decoder = GaussianDecoder(DenseGenerator(2, (D,), [3]), SD)
    x, z = torch.randn(4, D), torch.randn(4, 2)
    each = torch.distributions.Normal(decoder.g(z), SD).log_prob(x)
    assert torch.allclose(decoder.log_likelihood(x, z), each.sum(1), atol=1e-5)
    seen = torch.rand(4, D) > 0.5
    found = decoder.log_likelihood(x, z, seen)
    assert torch.allclose(found, torch.where(seen, each, 0).sum(1), atol=1e-5)
    other = torch.where(seen, x, 9.0)  # what is hidden is not looked at
    assert torch.equal(decoder.log_likelihood(other, z, seen), found)


def test_a_mask_that_broadcasts_counts_every_channel() -> None:
    decoder = GaussianDecoder(ImageGenerator(2, 8, 3, 4, [4]), SD)
    x, z = torch.rand(2, 3, 8, 8), torch.randn(2, 2)
    seen = torch.rand(2, 1, 8, 8) > 0.5
    whole = decoder.log_likelihood(x, z, seen.expand(2, 3, 8, 8))
    assert torch.equal(decoder.log_likelihood(x, z, seen), whole)


def test_posterior_chains_have_the_exact_moments_of_a_linear_generator() -> None:
    learner = made()
    x = data(1)[0].expand(2000, D)
    mean, covariance = exact_posterior(*linear(learner), x[:1])
    z = learner.posterior(x, seeds=range(2000))
    assert torch.allclose(z.mean(0), mean[0], atol=0.06)
    assert torch.allclose(z.T.cov(), covariance, atol=0.06)


def test_posterior_without_noise_is_the_exact_mode() -> None:
    learner, x = made(), data(6)[0]
    mean, _ = exact_posterior(*linear(learner), x)
    z = learner.posterior(x, steps=600)
    assert torch.allclose(z, mean, atol=1e-3)
    assert torch.allclose(learner.posterior(x[2:3], steps=600), z[2:3], atol=1e-5)


def test_posterior_knows_what_is_seen_alone() -> None:
    learner, x = made(), data(6)[0]
    seen = (torch.arange(D) < 3).expand(6, D)
    w, b = linear(learner)
    mean, _ = exact_posterior(w[:3], b[:3], x[:, :3])
    assert torch.allclose(learner.posterior(x, steps=600, seen=seen), mean, atol=1e-3)


@pytest.mark.parametrize("start", ["prior", "persistent"])
def test_alternating_back_propagation_comes_to_the_best_marginal_likelihood(start: str) -> None:
    """Of factor analysis with a known noise: the maximum is that of probabilistic PCA."""
    x, _ = data()
    chain = {**CHAIN, "steps": 5 if start == "persistent" else 15}
    learner = made(posterior={"start": start, "chain": chain}, optimiser={**ADAM, "rate": 0.06})
    fitted = fit(learner, x, FitSettings.model_validate(FIT), seed=0)
    learner.networks.load_state_dict(fitted.networks.state_dict())
    values, vectors = torch.linalg.eigh(x.T.cov(correction=0))
    best = vectors[:, -2:] * (values[-2:] - SD**2).sqrt()
    gap = log_marginal(best, x.mean(0), x) - log_marginal(*linear(learner), x)
    before = log_marginal(best, x.mean(0), x) - log_marginal(*linear(made()), x)
    assert 0 <= gap < 0.05 < before


def test_learned_prior_finds_the_two_clusters_of_z() -> None:
    """x is z with a little noise, of two clusters: N(0, I) has one, the learned prior two."""
    sign = torch.where(torch.rand(600, 1) < 0.5, 1.0, -1.0)
    x = torch.cat([1.5 * sign, torch.zeros(600, 1)], 1) + 0.1 * torch.randn(600, 2)
    chain = {**CHAIN, "steps": 40, "sample_steps": 40, "step_size": 0.05}
    energy = {**ENERGY, "chain": chain}
    learner = made(
        prior=energy,
        decoder={"kind": "point", "dim": 2, "widths": [], "sd": 0.3},
        posterior={"start": "persistent", "chain": {**chain, "steps": 3}},
        optimiser={**ADAM, "rate": 1e-4},
    )
    with torch.no_grad():  # g is the identity, so that z is x but for noise
        learner.decoder.g.body[0].weight.copy_(torch.eye(2))
        learner.decoder.g.body[0].bias.zero_()
    fitted = fit(learner, x, FitSettings.model_validate({**FIT, "updates": 300}), seed=0)
    learner.networks.load_state_dict(fitted.networks.state_dict())
    samples = learner.sample(range(500))[2][-1][:, 0]
    flat = made(decoder=learner.settings.decoder.model_dump())
    flat.networks["decoder"].load_state_dict(learner.decoder.state_dict())
    plain = flat.sample(range(500))[2][-1][:, 0]
    between = [float((each.abs() < 0.6).float().mean()) for each in (samples, plain)]
    assert between[0] < 0.5 * between[1] and 0.3 < float((samples > 0).float().mean()) < 0.7


def test_encoder_learns_where_the_chains_end() -> None:
    network = {"kind": "mlp", "dim": D, "widths": [16], "scale": 1.0, "classes": 2}
    encoder = {"network": network, "optimiser": ADAM}
    learner = made(posterior={"start": "encoder", "chain": CHAIN, "encoder": encoder})
    fitted = fit(learner, data()[0], FitSettings.model_validate(FIT), seed=0)
    curve = fitted.curves["encoder_error"]
    _, covariance = exact_posterior(*linear(learner), data()[0])
    assert sum(curve[-20:]) / 20 < 1.5 * float(covariance.diagonal().mean())


def test_no_steps_leave_z_as_the_encoder_has_it_but_what_is_hidden_takes_the_chain() -> None:
    network = {"kind": "mlp", "dim": D, "widths": [16], "scale": 1.0, "classes": 2}
    posterior = {"start": "encoder", "chain": CHAIN | {"sample_steps": 0}}
    learner = made(posterior=posterior | {"encoder": {"network": network, "optimiser": ADAM}})
    x = data(4)[0]
    assert torch.equal(learner.posterior(x), learner.networks["encoder"](x).detach())
    seen = torch.ones_like(x, dtype=torch.bool)
    assert not torch.equal(learner.posterior(x, seen=seen), torch.zeros(4, 2))


def test_joint_is_prior_and_likelihood() -> None:
    learner = made(prior=ENERGY)
    x, z = data(4)[0], torch.randn(4, 2)
    found = log_joint(learner.f, learner.decoder, x)(z)
    whole = learner.f(z) - z.square().sum(1) / 2 + learner.decoder.log_likelihood(x, z)
    assert torch.allclose(found, whole, atol=1e-5)
    assert torch.allclose(log_prior(learner.f)(z), learner.f(z) - z.square().sum(1) / 2)


def test_hidden_pixels_of_training_images_are_never_looked_at() -> None:
    image = {"kind": "image", "size": 8, "channels": 1, "base": 4, "widths": [4, 3], "sd": 0.3}
    hide = {"mask": "pixels", "hidden": 0.5, "seed": 1}
    x = torch.rand(20, 1, 8, 8) * 2 - 1
    found = []
    for fill in (0.0, 0.9):
        learner = made(decoder=image, incomplete=hide)
        learner.prepare(x)
        assert learner.visible is not None
        shown = torch.where(learner.visible, x, fill)
        figures = learner.learn(shown[:6], torch.arange(6))
        found.append([figures["log_likelihood"], *learner.decoder.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"latent": 0}, "greater than or equal to 1"),
        ({"posterior": {"start": "encoder", "chain": CHAIN}}, "encoder is missing"),
        ({"posterior": {"start": "prior", "chain": CHAIN | {"sample_steps": 0}}}, "1 step or more"),
        ({"incomplete": {"mask": "half", "hidden": 0.5, "seed": 0}}, "it needs images"),
        (
            {"posterior": {"start": "prior", "chain": CHAIN | {"leapfrogs": 3}}},
            "leapfrogs is 3; chains that infer z have none",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        settings(**changes)


def test_several_processes_are_refused() -> None:
    learner = made()
    learner.share = 2
    with pytest.raises(ValueError, match="latent-space models learn in one: set processes to 1"):
        learner.prepare(data()[0])
