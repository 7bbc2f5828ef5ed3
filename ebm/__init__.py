"""Energy-based models: energies, samplers, learners. `ebm.load(FOLDER).sample(16, seed=0)`.

The samplers are here by name, `from ebm import langevin`; torch is imported when one is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebm.samplers.ais import ais, log_z
    from ebm.samplers.annealed import annealed
    from ebm.samplers.hmc import hmc
    from ebm.samplers.langevin import langevin
    from ebm.samplers.mala import mala
    from ebm.samplers.unrolled import unrolled

__all__ = ["ais", "annealed", "hmc", "langevin", "load", "log_z", "mala", "unrolled"]
HOMES = {"log_z": "ais"}  # where a module is not named as what it holds


def load(folder: Any, device: str = "cpu") -> Any:
    """Load a trained model from its folder; see `ebm.stored.load`."""
    from ebm.stored import load as load_model  # torch is imported when it is needed

    return load_model(folder, device)


def __getattr__(name: str) -> Any:
    """Return a sampler by its name.

    Raises:
        AttributeError: there is none of this name.
    """
    if name not in __all__:
        raise AttributeError(f"module 'ebm' has no attribute {name!r}")
    return getattr(import_module(f"ebm.samplers.{HOMES.get(name, name)}"), name)
