"""Energy-based models: energies, samplers, learners. `ebm.load(FOLDER).sample(16, seed=0)`."""

from typing import Any


def load(folder: Any, device: str = "cpu") -> Any:
    """Load a trained model from its folder; see `ebm.model.load`."""
    from ebm.model import load as load_model  # torch is imported when it is needed

    return load_model(folder, device)
