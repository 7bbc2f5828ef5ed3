"""A classifier read as energy-based models, and models read as a classifier (S07).

With priors rho_c and models p_c(x) = exp(f_c(x)) q(x) / Z_c over one reference q, Bayes' rule is

    p(y = c | x) = softmax_c( f_c(x) + b_c ),    b_c = log rho_c - log Z_c

Conversely the scores s_c of a softmax classifier are f_c + b_c up to a number for each x, so that
only their differences say anything: with q itself as class 0, f_0 = 0 and b_0 = log rho_0,

    log p_c(x) - log q(x) = (s_c(x) - s_0(x)) - (log rho_c - log rho_0)

Of two classes, p and q, that is logistic regression: noise contrastive estimation, S18.

Source: the tutorial, "Equivalence between EBM and discriminative model"; Xie, Lu, Zhu, Wu,
arXiv:1602.03264, section 2.
"""

import torch
from torch import Tensor


def offsets(priors: Tensor, log_z: Tensor) -> Tensor:
    """Return b_c = log rho_c - log Z_c, (C,).

    Args:
        priors: (C,), rho_c, above 0, of sum 1.
        log_z: (C,), log Z_c in nats.

    Raises:
        ValueError: the priors are none.
    """
    check_priors(priors)
    return priors.log() - log_z


def posterior(f: Tensor, b: Tensor) -> Tensor:
    """Return log p(y = c | x), (N, C), of the models' f: (N, C) and the offsets b: (C,)."""
    return torch.log_softmax(f + b, 1)


def log_ratios(scores: Tensor, priors: Tensor) -> Tensor:
    """Return log p_c(x) - log q(x), (N, C - 1), c = 1, 2, ..., of a classifier's scores.

    Args:
        scores: (N, C), s_c(x); class 0 is q. What is added to all scores of an x does not count.
        priors: (C,), rho_c by which the classifier was learned: the shares of its data.

    Raises:
        ValueError: the priors are none.
    """
    check_priors(priors)
    return scores[:, 1:] - scores[:, :1] - (priors[1:].log() - priors[0].log())


def check_priors(priors: Tensor) -> None:
    """Refuse what are no probabilities of classes.

    Raises:
        ValueError: one is not above 0, or their sum is not 1.
    """
    total = float(priors.sum())
    if float(priors.min()) <= 0 or abs(total - 1) > 1e-4:
        raise ValueError(
            f"the priors are {priors.tolist()}, of sum {total:g}; give numbers above 0 of sum 1"
        )
