"""Dual averaging: a step size that finds the acceptance asked for.

    Hbar_m    = (1 - 1 / (m + t0)) Hbar_(m-1) + (delta - alpha_m) / (m + t0)
    log eps_m = mu - (sqrt(m) / gamma) Hbar_m,    mu = log(10 eps_0)
    log mean_m = m^-kappa log eps_m + (1 - m^-kappa) log mean_(m-1)

with alpha_m the acceptance of step m and delta the one asked for; after the last, eps is the mean.

Source: Hoffman and Gelman, "The No-U-Turn Sampler", JMLR 2014, arXiv:1111.4246, section 3.2, with
the constants given there.
"""

import torch
from torch import Tensor

REVISION = 1

GAMMA, DELAY, KAPPA = 0.05, 10.0, 0.75


class DualAveraging:
    """The step size of chains, on their device; nothing is read back.

    Args:
        step_size: (), eps_0.
        adapt: the number of steps that learn; 0 leaves eps as it is.
        target: delta.

    Attributes:
        step_size: (), eps of the next step.
    """

    def __init__(self, step_size: Tensor, adapt: int, target: float) -> None:
        self.step_size, self.adapt, self.target, self.step = step_size, adapt, target, 0
        self.centre = (10 * step_size).log()
        self.shortfall, self.log_mean = torch.zeros_like(step_size), torch.zeros_like(step_size)

    def learn(self, acceptance: Tensor) -> None:
        """Take in the mean acceptance, (), of a step; after the first `adapt` nothing changes."""
        if self.step >= self.adapt:
            return
        self.step += 1
        share = 1 / (self.step + DELAY)
        self.shortfall = (1 - share) * self.shortfall + share * (self.target - acceptance)
        log_step = self.centre - self.step**0.5 / GAMMA * self.shortfall
        weight = self.step**-KAPPA
        self.log_mean = weight * log_step + (1 - weight) * self.log_mean
        self.step_size = (self.log_mean if self.step == self.adapt else log_step).exp()
