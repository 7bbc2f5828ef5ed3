"""The temperature that each chain's noise and step size imply: noise^2 = T dt."""

from typing import Any

from ebm.samplers.langevin import noise_scale


def temperatures(model: Any) -> dict[str, float]:
    """Return T by grid, to three digits; of a model of one chain by the name `chain`.

    1 samples exp(f) as dt -> 0; far below 1 the chain climbs f almost without noise.

    Args:
        model: a training stage's settings of its model.
    """
    chains = {f"grid {grid.size}": grid for grid in getattr(model, "grids", [])}
    if hasattr(model, "chain"):
        chains["chain"] = model.chain
    return {name: implied(chain) for name, chain in chains.items()}


def implied(chain: Any) -> float:
    """Return T of one chain's settings, to three digits."""
    given = getattr(chain, "temperature", None)
    return float(f"{noise_scale(chain.step_size, given, chain.noise)[1]:.3g}")
