"""How much chains are worth: the effective sample size, and whether they agree.

    n_eff = N S / tau,    tau = 1 + 2 sum_t rho_t,    rho_t = 1 - (W - C_t) / V

W is the variance within the chains, C_t their mean autocovariance at lag t, and V the variance of
all, that between the chains included. The sum ends by Geyer's rule: sums of neighbours rho_2k +
rho_(2k+1) are positive and do not rise, and what breaks this is noise.

Source: Gelman et al., "Bayesian Data Analysis", 3rd ed., 11.4-11.5; Geyer, "Practical Markov chain
Monte Carlo", 1992; Vehtari et al., arXiv:1903.08008 (without its ranks).
"""

import math

import torch
from torch import Tensor

REVISION = 1


def check_chains(chains: Tensor, least: int) -> None:
    """Check that chains are (N, steps, D) of enough steps.

    Raises:
        ValueError: they are not.
    """
    if chains.ndim != 3 or chains.shape[1] < least:
        raise ValueError(
            f"chains is {tuple(chains.shape)}; it must be (N, steps, D) of at least {least} steps"
        )


def autocovariance(chains: Tensor) -> Tensor:
    """Return the autocovariance of chains: (N, S, D) at each lag, (N, S, D), divided by S."""
    steps = chains.shape[1]
    centred = chains - chains.mean(1, keepdim=True)
    spectrum = torch.fft.rfft(centred, n=2 * steps, dim=1)
    return torch.fft.irfft(spectrum.abs().square(), n=2 * steps, dim=1)[:, :steps] / steps


def variances(chains: Tensor) -> tuple[Tensor, Tensor]:
    """Return the variance within chains: (N, S, D), and that of all, (D,) each."""
    steps = chains.shape[1]
    within = chains.var(1).mean(0)
    whole = within * (steps - 1) / steps
    return within, whole + chains.mean(1).var(0) if len(chains) > 1 else whole


def effective_sample_size(chains: Tensor) -> Tensor:
    """Return n_eff of each value, (D,): the independent draws that have the same error of the mean.

    Args:
        chains: (N, S, D), S at least 4: `torch.stack(record.path, 1).flatten(2)`.

    Raises:
        ValueError: chains have another shape, or too few steps.
    """
    check_chains(chains, 4)
    count, steps, _ = chains.shape
    chains = chains.double()
    within, whole = variances(chains)
    # C_t of the same bias as W, so that rho_0 is 1 where chains agree.
    covariance = autocovariance(chains).mean(0) * steps / (steps - 1)
    rho = 1 - (within - covariance) / whole
    rho[0] = 1
    pairs = rho[: steps // 2 * 2].unflatten(0, (-1, 2)).sum(1).cummin(0).values
    tau = 2 * pairs.clamp(min=0).sum(0) - 1
    # Anticorrelated chains can be worth more than they have draws, within the reach of the data.
    return count * steps / tau.clamp(min=1 / math.log10(count * steps))


def split_r_hat(chains: Tensor) -> Tensor:
    """Return sqrt(V / W) of each value, (D,), each chain cut into halves: 1 where all agree.

    Args:
        chains: (N, S, D), S at least 4; with an odd S the middle state is left out.

    Raises:
        ValueError: chains have another shape, or too few steps.
    """
    check_chains(chains, 4)
    half = chains.shape[1] // 2
    within, whole = variances(torch.cat([chains[:, :half], chains[:, -half:]]).double())
    return (whole / within).sqrt()
