"""log p(x) of a latent-space model, where z has few values: importance sampling about the mode.

    p(x) = integral of p(x | z) p(z) dz = E_q [ p(x | z) p(z) / q(z) ]
    q(z) = N(z; m, H^-1),    m the posterior's mode, H = - d^2/dz^2 log p(z | x) at m   (Laplace)
    log Z = log E_r [ exp f(z) N(z; 0, I) / r(z) ],    r = mean over s of N(0, s^2 I): the prior's

A learned prior may lie far from N(0, I), whose own draws would then miss it: hence the scales s.
q is wider than the posterior by WIDER, so that weights stay bounded where it is nearly Gaussian.
How many of the draws count, the effective share, says whether the estimate can be trusted.

Source: importance sampling about a Laplace approximation; the model of arXiv:2006.08205.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import hessian, vmap

from ebm.latent import log_joint
from ebm.samplers.ais import LogZ, log_normal, log_z

REVISION = 3

SCALES = (1.0, 2.0, 4.0, 8.0)  # s, sd of the normals that log Z is drawn by
WIDER = 1.3  # q's standard deviation over that of the Laplace approximation
FLOOR = 1.0  # least curvature of q: that of the prior's Gaussian


class Likelihood(NamedTuple):
    """Of items x.

    Attributes:
        values: (N,), log p(x) in nats.
        share: (N,), effective draws over draws, in (0, 1].
        log_z: of the prior, with its error.
    """

    values: Tensor
    share: Tensor
    log_z: LogZ


def prior_log_z(learner: Any, draws: int, generator: torch.Generator) -> LogZ:
    """Return log Z of the prior, by draws of normals of every scale."""
    d, sd = learner.settings.latent, torch.tensor(SCALES).repeat(-(-draws // len(SCALES)))[:draws]
    z = torch.empty(draws, d).normal_(generator=generator) * sd[:, None]
    log_r = torch.stack([log_normal(z, s) for s in SCALES]).logsumexp(0) - math.log(len(SCALES))
    with torch.no_grad():
        return log_z((learner.f(z) + log_normal(z) - log_r).double())


def likelihood(learner: Any, x: Tensor, *, steps: int, draws: int, seed: int) -> Likelihood:
    """Estimate log p(x) of each item.

    Args:
        learner: a trained latent-space model, with `posterior`, `f`, `decoder` and its settings.
        x: (N, ...).
        steps: of the noise-free chain to the posterior's mode.
        draws: of q for an item, two or more; a hundred times as many for log Z.
        seed: of the draws.

    Raises:
        ValueError: draws is less than 2.
    """
    if draws < 2:
        raise ValueError(f"draws is {draws}; an estimate needs two or more")
    generator = torch.Generator().manual_seed(seed)
    norm = prior_log_z(learner, 100 * draws, generator)
    modes = learner.posterior(x, steps=steps)
    found = [of_item(learner, x[i], modes[i], draws, generator) for i in range(len(x))]
    values, shares = (torch.stack(each).detach() for each in zip(*found, strict=True))
    return Likelihood(values - norm.value, shares, norm)


def of_item(
    learner: Any, x: Tensor, mode: Tensor, draws: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return log p(x) + log Z of one item x: (...), and the effective share of the draws."""
    d = len(mode)

    def log_p(z: Tensor) -> Tensor:
        return log_joint(learner.f, learner.decoder, x[None])(z[None])[0]

    values, vectors = torch.linalg.eigh(-hessian(log_p)(mode).double())
    sd = WIDER / values.clamp(min=FLOOR).sqrt()
    e = torch.empty(draws, d, dtype=torch.float64).normal_(generator=generator)
    z = mode.double() + (e * sd) @ vectors.T
    log_q = log_normal(e) - sd.log().sum()
    with torch.no_grad():
        joint = vmap(log_p)(z.float()).double() - d * math.log(2 * math.pi) / 2
    mean = log_z(joint - log_q)
    return mean.value, mean.chains / draws
