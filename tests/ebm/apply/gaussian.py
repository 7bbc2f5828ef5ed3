"""A learner whose chain is known in closed form: log p(x) = -|x|^2 / (2 sd^2)."""

import torch
from torch import Tensor, nn

from ebm.learn.parts import ChainSettings
from ebm.samplers.noise import Noise


class Settings:
    def __init__(self, chain: ChainSettings) -> None:
        self.chain = chain


class Gaussian:
    """Without noise, K steps multiply z by (1 - dt / (2 sd^2))^K."""

    def __init__(self, sd: float = 1.0, steps: int = 5, dt: float = 0.2, **more: object) -> None:
        chain = {"steps": steps, "sample_steps": steps, "step_size": dt, "temperature": 1.0, **more}
        self.settings = Settings(ChainSettings.model_validate(chain))
        self.sd, self.device, self.networks = sd, torch.device("cpu"), nn.ModuleDict()
        self.factor = (1 - dt / (2 * sd**2)) ** steps

    def noise(self, count: int, seeds: list[int]) -> Tensor:
        """Return standard normal starts."""
        return Noise(torch.empty(count, 1, 4, 4), 1, seeds=seeds).next().clone()

    def log_density(self, x: Tensor) -> Tensor:
        """Return log p up to a constant."""
        return -x.flatten(1).square().sum(1) / (2 * self.sd**2)
