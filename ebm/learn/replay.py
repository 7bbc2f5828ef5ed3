"""Learning watched at some updates: the way of the chains, and f before and after the update.

    mode seeking:   the chains climb f(x) + log q(x), from their starts to where it is high
    mode shifting:  the update raises f at the data and lowers it at the chains' ends

    theta  <-  theta + eta ( E_data[grad f] - E_samples[grad f] )

so where data are and no samples a mode of f grows, and where samples are and no data it shrinks.
What is shown is this update, by plain gradient ascent, with eta such that the value function
V = mean f(data) - mean f(samples) rises by a tenth of a nat. The optimiser, with its own steps,
goes on from where it was.

Source: the tutorial's "mode seeking and mode shifting"; Xie, Zhu, Lu, Gao, Wu, "Cooperative
Learning of Energy-Based Model and Latent Variable Model", arXiv:1609.09408.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ebm.energy import contrast
from ebm.learn.parts import at_rest

REVISION = 1

RISE = (
    0.1  # nats by which V rises in the step that is shown: small, so that f changes in proportion
)


class Seen(NamedTuple):
    """One update, watched.

    Attributes:
        update: its number, from 1.
        path: (K + 1, N, ...), the chains' states from their starts.
        data: (N, ...), the batch.
        before: (P,), f + log q at the points asked for, before the update.
        rise: (P,), what a small step of plain gradient ascent on these data and samples adds to f.
            The level of f is free: the mean over both is taken off, here and below.
        climbed: mean rise of f + log q along the chains, in nats.
        on_data: mean rise of f on the batch by that step.
        on_samples: mean rise of f on the chains' ends by that step.
    """

    update: int
    path: Tensor
    data: Tensor
    before: Tensor
    rise: Tensor
    climbed: float
    on_data: float
    on_samples: float


def replay(
    learner: Any, data: Tensor, shown: Collection[int], *, batch: int, seed: int, points: Tensor
) -> list[Seen]:
    """Let a learner by analysis and synthesis learn, and return the updates that are shown.

    Args:
        learner: freshly built, one with `chains`; it is changed.
        data: (M, ...), the training data.
        shown: numbers of updates, from 1; the last of them is the last that is done.
        batch: data, and chains, of an update.
        seed: of the order of the data and of the chains' noise.
        points: (P, ...), where f is looked at.
    """
    order = torch.Generator().manual_seed(seed)
    learner.generator.manual_seed(seed + 1)
    learner.prepare(data)
    found = []
    for update in range(1, max(shown) + 1):
        drawn = data[torch.randint(len(data), (batch,), generator=order)]
        if update in shown:
            found.append(watch(learner, drawn, update, points))
        else:
            learner.learn(drawn)
    return found


def watch(learner: Any, batch: Tensor, update: int, points: Tensor) -> Seen:
    """Do one update of a learner on a batch, (N, ...), and return what happened."""
    path = ahead(learner, batch)
    places = (points, batch, path[0], path[-1])
    before = [learner.score(x) for x in places]
    with ascended(learner.f, batch, path[-1]):
        rise = [learner.score(x) - f for x, f in zip(places, before, strict=True)]
    learner.learn(batch)
    on_data, on_samples = rise[1].mean(), rise[3].mean()
    level = (on_data + on_samples) / 2
    return Seen(
        update,
        path,
        batch,
        before[0],
        rise[0] - level,
        climbed=float((before[3] - before[2]).mean()),
        on_data=float(on_data - level),
        on_samples=float(on_samples - level),
    )


@contextmanager
def ascended(f: nn.Module, data: Tensor, samples: Tensor) -> Iterator[None]:
    """Move f's parameters up the gradient of V until V has risen by RISE, to first order.

    Args:
        f: the network; it is put back.
        data: (N, ...).
        samples: (N, ...), the chains' ends.
    """
    parameters = [p for p in f.parameters() if p.requires_grad]
    value = -contrast(f(data), f(samples))
    gradients = torch.autograd.grad(value, parameters, allow_unused=True, materialize_grads=True)
    eta = RISE / sum(g.square().sum() for g in gradients)
    kept = [p.detach().clone() for p in parameters]
    try:
        with torch.no_grad():
            for p, g in zip(parameters, gradients, strict=True):
                p.add_(eta * g)
        yield
    finally:
        with torch.no_grad():
            for p, old in zip(parameters, kept, strict=True):
                p.copy_(old)


def ahead(learner: Any, batch: Tensor) -> Tensor:
    """Return the states, (K + 1, N, ...), that the chains of the next update will go through.

    The learner is left as it was, its generator included.
    """
    state, chain = learner.generator.get_state(), learner.settings.chain
    data = learner.blur(batch)
    start, _ = learner.chains.start(len(data), data, learner.generator)
    with at_rest(learner.f):
        _, record = chain.run(
            learner.log_density, start, steps=chain.steps, generator=learner.generator, keep=1
        )
    learner.generator.set_state(state)
    return torch.stack(record.path)
