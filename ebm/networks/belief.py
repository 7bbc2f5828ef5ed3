"""Networks that tell where somebody walks: codes of what is seen, a belief z, a plan, the way.

    c       = pooled(past, neighbours)             history code
    q(z|c,p) = N(mu, diag(exp(log_var)))           belief, of the true plan p
    p       = plan(c, z)                           positions at some of the frames ahead
    y       = way(c, code(p))                      positions at all of them
    f(z, c)                                        the belief's log density, but for a constant

Positions are those of `Frame`: the last one seen is the origin, the way there may point along x.

Source: Pang, Zhao, Xie, Wu, "Trajectory Prediction with Latent Belief Energy-Based Model", CVPR
2021, arXiv:2104.03086; Wang, Girshick, Gupta, He, arXiv:1711.07971 (pooling).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

REVISION = 1


class Frame(NamedTuple):
    """Where each agent stands and, if turned, looks to, so that no place or direction is special.

    Attributes:
        origin: (N, 2), the last position seen, in the units of the data.
        turn: (N, 2, 2), row vectors times this point along x where the agent went.
        unit: length, in the units of the data, that is 1 in the frame.
    """

    origin: Tensor
    turn: Tensor
    unit: float

    def enter(self, x: Tensor) -> Tensor:
        """Return positions x: (N, ..., 2) of the data in the frame."""
        flat = x.flatten(1, -2) - self.origin[:, None]
        return (flat @ self.turn).view(x.shape) / self.unit

    def leave(self, x: Tensor) -> Tensor:
        """Return positions x: (N, ..., 2) of the frame in the data's units."""
        flat = x.flatten(1, -2) @ self.turn.mT * self.unit + self.origin[:, None]
        return flat.view(x.shape)


def frame(past: Tensor, unit: float, turned: bool) -> Frame:
    """Return the frames of agents that were seen at `past`: (N, S, 2).

    Args:
        past: in the units of the data.
        unit: length that is 1 in the frame.
        turned: the way from the first to the last position points along x, unless there is none;
            else no frame is turned.
    """
    way = past[:, -1] - past[:, 0]
    angle = torch.atan2(way[:, 1], way[:, 0])
    angle = torch.where((way.square().sum(1) > 0) & turned, angle, 0.0)
    cos, sin = angle.cos(), angle.sin()
    turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    return Frame(past[:, -1], turn, unit)


def perceptron(inward: int, widths: Sequence[int], outward: int) -> nn.Sequential:
    """Return [linear -> ReLU] a width, then linear."""
    sizes = [inward, *widths]
    layers: list[nn.Module] = []
    for one, other in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(one, other), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], outward))


class Pooling(nn.Module):
    """Adds to a code what the neighbours tell: attention, by agent over neighbours.

        w_j = softmax_j(theta(c) . phi(n_j) / sqrt(D)),    c' = c + sum_j w_j g(n_j)

    An empty place, of weight exp 0, stands beside the neighbours: alone or among those that do not
    matter, c' is c.

    Args:
        seen: S, positions of a neighbour.
        widths: hidden layers of its encoder.
        code: D.
    """

    def __init__(self, seen: int, widths: Sequence[int], code: int) -> None:
        super().__init__()
        self.encode = perceptron(2 * seen, widths, code)
        self.theta, self.phi, self.g = (nn.Linear(code, code) for _ in range(3))

    def forward(self, c: Tensor, beside: Tensor, there: Tensor) -> Tensor:
        """Return c', (N, D).

        Args:
            c: (N, D).
            beside: (N, M, S, 2), where neighbours were seen, in the frame of the agent.
            there: (N, M) boolean, False where there is none.
        """
        n = self.encode(beside.flatten(2)).relu()
        scores = (self.phi(n) @ self.theta(c)[..., None]).squeeze(-1) / math.sqrt(c.shape[1])
        scores = scores.masked_fill(~there, -torch.inf)
        weights = torch.cat([scores, torch.zeros_like(c[:, :1])], 1).softmax(1)[:, :-1]
        return c + (weights[:, None] @ self.g(n)).squeeze(1)


class Belief(NamedTuple):
    """q(z | c, p).

    Attributes:
        c: (N, D), history code.
        mean, log_var: (N, Z).
    """

    c: Tensor
    mean: Tensor
    log_var: Tensor


class Forecaster(nn.Module):
    """All but the energy.

    Args:
        seen: S, positions seen.
        plan: the frames ahead that a plan names, counted from 0; the last frame ends it.
        ahead: T, frames ahead.
        code: D, values of each code.
        latent: Z, values of the belief.
        widths: units of the hidden layers, of every part.
        social: units of the hidden layers of the encoder of neighbours; None pools nothing.
    """

    def __init__(
        self,
        *,
        seen: int,
        plan: Sequence[int],
        ahead: int,
        code: int,
        latent: int,
        widths: Sequence[int],
        social: Sequence[int] | None,
    ) -> None:
        super().__init__()
        self.plan_frames, self.ahead = list(plan), ahead
        points = len(self.plan_frames)
        self.past = perceptron(2 * seen, widths, code)
        self.pooling = Pooling(seen, social, code) if social else None
        self.plan_code = perceptron(2 * points, widths, code)
        self.posterior = perceptron(2 * code, widths, 2 * latent)
        self.planner = perceptron(code + latent, widths, 2 * points)
        self.way = perceptron(2 * code, widths, 2 * ahead)

    def history(self, past: Tensor, beside: Tensor, there: Tensor) -> Tensor:
        """Return c, (N, D), of positions seen (N, S, 2) and those of neighbours, in the frame."""
        c = self.past(past.flatten(1))
        return c if self.pooling is None else self.pooling(c, beside, there)

    def believe(self, c: Tensor, future: Tensor) -> Belief:
        """Return q of a true future (N, T, 2)."""
        plan = self.plan_code(future[:, self.plan_frames].flatten(1))
        mean, log_var = self.posterior(torch.cat([c, plan], 1)).chunk(2, 1)
        return Belief(c, mean, log_var.clamp(-10, 4))  # so that no exponential overflows

    def decode(self, c: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the plan, (..., P, 2), and the way, (..., T, 2), of c: (..., D), z: (..., Z)."""
        plan = self.planner(torch.cat([c, z], -1))
        way = self.way(torch.cat([c, self.plan_code(plan)], -1))
        shape = plan.shape[:-1]
        return plan.view(*shape, -1, 2), way.view(*shape, -1, 2)

    def forward(
        self, past: Tensor, beside: Tensor, there: Tensor, future: Tensor, e: Tensor
    ) -> tuple[Belief, Tensor, Tensor, Tensor]:
        """Return q, z = mean + sd e of it, and the plan and the way that z decodes to.

        Args:
            past: (N, S, 2); all positions are in the frame.
            beside, there: (N, M, S, 2) and (N, M), the neighbours.
            future: (N, T, 2).
            e: (N, Z), standard normal.
        """
        q = self.believe(self.history(past, beside, there), future)
        z = q.mean + (q.log_var / 2).exp() * e
        return q, z, *self.decode(q.c, z)


class BeliefEnergy(nn.Module):
    """f(z, c), [linear -> GELU] a width, then linear; smooth, for chains.

    Args:
        latent: Z.
        code: D.
        widths: units of the hidden layers.
    """

    def __init__(self, latent: int, code: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.from_z, self.from_c = nn.Linear(latent, widths[0]), nn.Linear(code, widths[0])
        layers: list[nn.Module] = [nn.GELU()]
        for one, other in zip(widths, widths[1:], strict=False):
            layers += [nn.Linear(one, other), nn.GELU()]
        self.body = nn.Sequential(*layers, nn.Linear(widths[-1], 1))

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        """Return f, (...), of z: (..., Z) and c: (..., D), whose axes may be broadcast."""
        value: Tensor = self.body(self.from_z(z) + self.from_c(c)).squeeze(-1)
        return value


class Features(nn.Module):
    """What a whole trajectory tells: both codes; a copy of it may be trained.

    Args:
        forecaster: its parts are shared.
        seen: S.
        unit, turned: of the frame.
    """

    def __init__(self, forecaster: Forecaster, seen: int, unit: float, turned: bool) -> None:
        super().__init__()
        self.forecaster, self.seen, self.unit, self.turned = forecaster, seen, unit, turned

    def features(self, x: Tensor) -> Tensor:
        """Return history code and the belief's mean, (N, D + Z), of trajectories (N, S + T, 2)."""
        inside = frame(x[:, : self.seen], self.unit, self.turned).enter(x)
        past, future = inside[:, : self.seen], inside[:, self.seen :]
        q = self.forecaster.believe(self.forecaster.past(past.flatten(1)), future)
        return torch.cat([q.c, q.mean], 1)
