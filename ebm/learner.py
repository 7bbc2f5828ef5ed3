"""What `ebm.fit.fit` is given: a learner, and how long and how it is run."""

from typing import Any, Protocol

import torch
from pydantic import Field
from torch import Tensor, nn

from ebm.settings import Settings


class FitSettings(Settings):
    """How long and how a learner is run."""

    updates: int = Field(ge=1, description="iterations of learning")
    batch: int = Field(ge=2, description="data in an iteration; their variation is judged")
    average: float = Field(ge=0, lt=1, description="decay of the averaged parameters; 0 is none")
    final_rate: float = Field(gt=0, le=1, description="learning rate at the end over that at first")
    warm_up: int = Field(
        default=0,
        ge=0,
        exclude_if=lambda updates: not updates,
        description="iterations over which the learning rate rises to its full value",
    )
    check_every: int = Field(ge=1, description="iterations between looks of the judge")
    checkpoint_every: int = Field(
        ge=1, description="iterations between checkpoints, or a few more, to a look of the judge"
    )
    gap_limit: float = Field(gt=0, description="energy gap beyond which a run diverges, in nats")
    rollbacks: int = Field(ge=0, description="how often a broken run is taken back")
    slow_down: float = Field(gt=0, le=1, description="learning rate's factor after a rollback")


class Learner(Protocol):
    """What `fit` asks of a learner.

    Attributes:
        networks: all of them, by name.
        optimisers: each under the name of the network that it learns.
        generator: of the noise of data and chains; each process has another stream.
        device: where all of it lives.
        through: by the same names, what a loss goes through to a network: itself, or what makes
            the gradients of several processes one. Chains take the network.
        share: W, the number of processes; what a learner keeps for a whole batch is divided by it.
    """

    settings: Any
    networks: nn.Module
    optimisers: dict[str, torch.optim.Optimizer]
    generator: torch.Generator
    device: torch.device
    through: dict[str, nn.Module]
    share: int

    def prepare(self, x: Tensor) -> None:
        """Look at all training data once, before the first iteration."""

    def learn(self, batch: Tensor) -> dict[str, Tensor]:
        """Do one iteration; return its figures, each (). With labels: ebm/labels.py."""

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next iteration depends on.

        `networks` and `optimisers` are the same in all processes; all else is a process's own.
        """

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""


class State:
    """The state that all learners have; those that keep more add it."""

    networks: nn.ModuleDict
    optimisers: dict[str, torch.optim.Optimizer]
    generator: torch.Generator

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next iteration depends on."""
        return {
            "networks": self.networks.state_dict(),
            "optimisers": {k: o.state_dict() for k, o in self.optimisers.items()},
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self.networks.load_state_dict(state["networks"])
        for key, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][key])
        self.generator.set_state(state["generator"])
