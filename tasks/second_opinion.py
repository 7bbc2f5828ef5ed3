"""A second opinion on a learned log Z of points: annealed importance sampling, by chains."""

from functools import partial
from typing import Any

import torch

from ebm.energy import frozen
from ebm.samplers.ais import ais, log_normal, log_z
from ebm.samplers.mala import mala
from tasks.scores import rounded, row

REVISION = 1

CHAINS, LEVELS = 1000, 200
MOVE = partial(mala, steps=2, step_size=0.01)


def second_opinion(learner: Any, c: float | None, seed: int) -> list[dict[str, Any]]:
    """Return the row of |c - log Z|, log Z by chains from the learner's Gaussian reference.

    The spread is the standard error of that log Z.

    Args:
        learner: of points, (D,); its score is log p up to log Z.
        c: the log Z that it learned; where that, or the reference, is None there is no row.
        seed: of the chains.
    """
    sd = learner.settings.reference
    if c is None or sd is None:
        return []
    source = torch.Generator().manual_seed(seed)
    x = sd * torch.randn(CHAINS, *learner.shape, generator=source)
    levels = [level / LEVELS for level in range(LEVELS + 1)]
    with frozen(learner.networks):
        p0 = partial(log_normal, sd=sd)
        weights, record = ais(p0, learner.score, x, levels, MOVE, generator=source)
    found = log_z(weights)
    made = row(
        "log_z_ais",
        [abs(c - float(found.value))],
        floor=0.0,
        ceiling=None,
        better="lower",
        samples=CHAINS,
        about=f"|c - log Z| in nats: the learned c is {c:.3f}, log Z by annealed importance "
        f"sampling {float(found.value):.3f} +- {float(found.error):.3f}; its {CHAINS} chains are "
        f"worth {float(found.chains):.0f} of equal weight, and their moves were accepted at "
        f"{float(record.acceptance.mean()):.2f}.",
    )
    return [{**made, "spread": rounded(float(found.error)), "unit": "chains"}]
