"""Models make a classifier by Bayes' rule, and the classifier gives their densities back."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from ebm.apply.equivalence import log_ratios, offsets, posterior
from ebm.learn.noise_contrastive import contrastive_loss

PRIORS = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
SD = 2.0
Q = MultivariateNormal(torch.zeros(2, dtype=torch.float64), SD**2 * torch.eye(2).double())
CLASSES = [
    MultivariateNormal(torch.tensor([1.0, 0.0]).double(), 0.5 * torch.eye(2).double()),
    MultivariateNormal(
        torch.tensor([-1.0, 1.0]).double(), torch.tensor([[1.0, 0.3], [0.3, 0.6]]).double()
    ),
]


def points(count: int = 200) -> Tensor:
    return 2 * torch.randn(
        count, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )


def f(x: Tensor) -> Tensor:
    """Return f_c(x) of q itself, 0, and of two Gaussians p_c = exp(f_c) q / Z_c, (N, 3)."""
    whole = [torch.zeros(len(x)).double()]
    for p in CLASSES:
        apart, precision = x - p.mean, torch.linalg.inv(p.covariance_matrix)
        quadratic = torch.einsum("ni,ij,nj->n", apart, precision, apart) / 2
        whole.append(x.square().sum(1) / (2 * SD**2) - quadratic)
    return torch.stack(whole, 1)


def log_z() -> Tensor:
    """Return log Z_c: (log det S_c - log det SD^2 I) / 2, as quadratic forms have it."""
    dets = [p.covariance_matrix.logdet() - 4 * math.log(SD) for p in CLASSES]
    return torch.stack([torch.zeros(()).double(), *dets]) / torch.tensor([1, 2, 2])


def by_bayes(x: Tensor) -> Tensor:
    joint = torch.stack([Q.log_prob(x), *(p.log_prob(x) for p in CLASSES)], 1) + PRIORS.log()
    return joint.log_softmax(1)


def test_densities_with_offsets_are_the_softmax_classifier_that_bayes_rule_gives() -> None:
    """b_c = log rho_c - log Z_c, exact on Gaussians."""
    x = points()
    assert torch.allclose(posterior(f(x), offsets(PRIORS, log_z())), by_bayes(x), atol=1e-10)


def test_classifier_gives_the_normalised_densities_back() -> None:
    """Whatever is added to all scores of an x."""
    x = points()
    scores = by_bayes(x) + torch.randn(len(x), 1).double()
    right = torch.stack([p.log_prob(x) - Q.log_prob(x) for p in CLASSES], 1)
    assert torch.allclose(log_ratios(scores, PRIORS), right, atol=1e-10)


def test_one_way_and_back_changes_nothing() -> None:
    x = points()
    b = offsets(PRIORS, log_z())
    back = log_ratios(posterior(f(x), b), PRIORS)
    assert torch.allclose(back, (f(x) - log_z())[:, 1:], atol=1e-10)


def test_two_classes_are_logistic_with_b() -> None:
    """p(y = 1 | x) = sigmoid(f + b), b = log(rho / (1 - rho)) - log Z."""
    x, rho = points(), 0.3
    b = math.log(rho / (1 - rho)) - log_z()[1]
    priors = torch.tensor([1 - rho, rho]).double()
    both = posterior(f(x)[:, :2], offsets(priors, log_z()[:2]))
    assert torch.allclose(both[:, 1].exp(), torch.sigmoid(f(x)[:, 1] + b), atol=1e-10)


@pytest.mark.parametrize("ratio", [1, 3])
def test_logistic_regression_against_q_is_noise_contrastive_estimation(ratio: int) -> None:
    """The loss of S18 is the cross entropy of these log odds, rho = 1 / (1 + nu), times 1 + nu."""
    data, noise = CLASSES[0].sample((100,)), Q.sample((100 * ratio,))
    x = torch.cat([data, noise])
    y = torch.cat([torch.ones(len(data)), torch.zeros(len(noise))]).double()
    odds = f(x)[:, 1] - log_z()[1] - math.log(ratio)
    cross = torch.nn.functional.binary_cross_entropy_with_logits(odds, y)
    found = contrastive_loss(odds[: len(data)], odds[len(data) :], ratio)
    assert torch.allclose(found, (1 + ratio) * cross)


def test_what_is_no_prior_is_refused() -> None:
    with pytest.raises(ValueError, match="of sum 1.5; give numbers above 0 of sum 1"):
        offsets(torch.tensor([0.5, 1.0]), torch.zeros(2))
    with pytest.raises(ValueError, match="give numbers above 0"):
        log_ratios(torch.zeros(1, 2), torch.tensor([0.0, 1.0]))
