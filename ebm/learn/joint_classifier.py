"""A classifier that is an energy-based model: one network for p(x) and p(y | x) (S07).

    f_1(x), ..., f_C(x)                                        one network's scores of the classes
    p(y = c | x) = exp f_c(x) / sum_k exp f_k(x)               the softmax classifier
    p(x, y = c)  = exp f_c(x) q(x) / Z,    p(x) = exp f(x) q(x) / Z,   f = log sum_c exp f_c
    L            = [mean f(samples) - mean f(data)] + w mean -log p(y | x)

The first term is that of maximum likelihood, with its chains, for f; the second, the cross entropy
of the labels, weighs `label_weight`. Beside it a twin learns by the second term alone, from the
same first weights and in the same batches: what the first term does to the classifier is then the
only difference.

Source: Grathwohl, Wang, Jacobsen, Duvenaud, Norouzi, Swersky, "Your classifier is secretly an
energy based model and you should treat it like one", arXiv:1912.03263.
"""

from copy import deepcopy
from typing import cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ebm.energy import LogDensity, LogSumExp, contrast, tilt
from ebm.learn.maximum_likelihood import MaximumLikelihood
from ebm.learn.maximum_likelihood_settings import MaximumLikelihoodSettings
from ebm.learn.parts import at_rest, descend
from ebm.networks import ClassNetworkSettings

REVISION = 1


class JointClassifierSettings(MaximumLikelihoodSettings):
    """Those of maximum likelihood, of a network with a score for each class."""

    network: ClassNetworkSettings
    label_weight: float = Field(gt=0, description="w, weight of the labels' cross entropy")
    twin: bool = Field(description="a plain twin learns beside it, by the cross entropy alone")


class Marginal(nn.Module):
    """x -> f(x) = log sum_c exp f_c(x), (N,), of a network's scores of the classes, (N, C).

    Args:
        scores: the network; chains are faster where it has `in_turn`.
    """

    def __init__(self, scores: nn.Module) -> None:
        super().__init__()
        self.scores, self.sum = scores, LogSumExp()

    def forward(self, x: Tensor) -> Tensor:
        """Return it of x: (N, ...)."""
        return self.sum(self.scores(x))

    def in_turn(self) -> list[nn.Module]:
        """Return the layers that `forward` is in turn."""
        return [self.scores, self.sum]


class JointClassifier(MaximumLikelihood):
    """Learns the scores of the classes by the contrast of data and chains, and by the labels.

    Args:
        settings: see there.
        below: must be None: there is one stage.
        device: where the networks and the chains live.

    Attributes:
        networks: f, the scores of the classes, and `plain`, its twin, where there is one.
        labelled: True: `learn` takes labels.

    Raises:
        ValueError: below is given.
    """

    Settings = JointClassifierSettings  # type: ignore[assignment]
    settings: JointClassifierSettings
    labelled = True

    def __init__(
        self,
        settings: JointClassifierSettings,
        below: None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        if below is not None:
            raise ValueError("joint_classifier has one stage; its below must be null")
        super().__init__(settings, None, device)
        if settings.twin:
            self.networks["plain"] = deepcopy(self.f)
            self.through["plain"] = self.networks["plain"]
            self.optimisers["plain"] = settings.optimiser.build(self.networks["plain"])

    @property
    def log_density(self) -> LogDensity:
        """x: (N, ...) -> log sum_c exp f_c(x) + log q(x), (N,), up to one constant."""
        return tilt(Marginal(self.f), cast(float | None, self.settings.reference))

    def check_labels(self, labels: Tensor) -> None:
        """Refuse labels, (M,), that are no class of the network's.

        Raises:
            ValueError: there is one.
        """
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= self.settings.network.classes:
            raise ValueError(
                f"the data's labels lie in {low}..{high}, and model.network.classes is "
                f"{self.settings.network.classes}; give {high + 1}"
            )

    def learn(self, batch: Tensor, labels: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        """Do one iteration on a batch (N, ...) and its labels, (N,); return its figures."""
        data = self.blur(batch)
        start, rows = self.chains.start(len(data), data, self.generator)
        x, record = self.synthesise(start)
        self.chains.keep(rows, x)
        scores = self.through["f"](torch.cat([data, x]))
        f_data, f_samples = scores.logsumexp(1).split([len(data), len(x)])
        entropy = F.cross_entropy(scores[: len(data)], labels)
        loss = contrast(f_data, f_samples, self.settings.decay)
        loss = loss + self.settings.label_weight * entropy
        descend(self.f, self.optimisers["f"], loss, self.settings.gradient_clip)
        return {
            "f_data": f_data.detach().mean(),
            "f_samples": f_samples.detach().mean(),
            "strength": record.strength,
            "movement": record.movement,
            "sd_data": data.std(0).mean(),
            "sd_samples": x.std(0).mean(),
            "cross_entropy": entropy.detach(),
            "accuracy": hits(scores[: len(data)], labels),
            **(self.learn_plain(data, labels) if self.settings.twin else {}),
        }

    def learn_plain(self, data: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Let the twin do one iteration on the same data; return its figures."""
        scores = self.through["plain"](data)
        entropy = F.cross_entropy(scores, labels)
        loss = self.settings.label_weight * entropy
        plain, optimiser = self.networks["plain"], self.optimisers["plain"]
        descend(plain, optimiser, loss, self.settings.gradient_clip)
        return {"plain_cross_entropy": entropy.detach(), "plain_accuracy": hits(scores, labels)}

    def classifiers(self) -> dict[str, nn.Module]:
        """Return what maps x: (N, ...) to scores of the classes, (N, C): `joint`, and `plain`."""
        twin = {"plain": self.networks["plain"]} if self.settings.twin else {}
        return {"joint": self.f, **twin}

    def scores(self, x: Tensor) -> Tensor:
        """Return f_1, ..., f_C, (N, C), of x: (N, ...); log p(y | x) up to a number for each x."""
        with at_rest(self.f):
            return self.f(x.to(self.device))


def hits(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the share, (), of scores (N, C) that are highest at the labels, (N,)."""
    return (scores.detach().argmax(1) == labels).float().mean()
