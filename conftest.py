"""What the examples of `ebm`'s docstrings begin with: small models, of grey images of 8 x 8.

They have learned nothing, and are made as `ebm.load` makes one. `model` fills in, `translator` has
chains that start at another domain's images, and `latent` has a z; `image` and `other` are images,
and `mask` is True in the left half.
"""

from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent
GRID = {
    **{"size": 8, "width": 2, "steps": 2, "step_size": 1.0, "noise": 0.05, "start_noise": 0.1},
    **{"bounds": 1.1, "data_noise": 0.05, "rate": 0.01, "momentum": 0.5, "decay": 0.05},
}
CHAIN = {"steps": 4, "sample_steps": 4, "step_size": 0.01, "temperature": 1.0}
ADAM = {"kind": "adam", "rate": 0.01, "momentum": 0.5}
IMAGE = {"size": 8, "channels": 1}
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "model": ("multigrid", {"channels": 1, "grids": [GRID]}),
    "translator": (
        "maximum_likelihood",
        {
            **{"network": {"kind": "convnet", "width": 2, **IMAGE}, "reference": None},
            **{"start": {"start": "source"}, "sample_from": "chains", "chain": CHAIN},
            **{"data_noise": 0.0, "decay": 0.0, "optimiser": ADAM},
        },
    ),
    "latent": (
        "latent_prior",
        {
            **{"latent": 2, "prior": None, "optimiser": ADAM},
            "decoder": {"kind": "image", "base": 4, "widths": [2], "sd": 0.3, **IMAGE},
            "posterior": {"start": "prior", "chain": CHAIN},
        },
    ),
}


@pytest.fixture(autouse=True)
def examples(request: pytest.FixtureRequest, doctest_namespace: dict[str, Any]) -> None:
    """Give the examples of `ebm` what they begin with; tests are given nothing."""
    if isinstance(request.node, pytest.DoctestItem) and ROOT / "ebm" in request.node.path.parents:
        doctest_namespace.update(begun())


@cache
def begun() -> dict[str, Any]:
    """Return the models and images by name."""
    import torch

    from ebm.learn import learner_class
    from ebm.model import Model

    given: dict[str, Any] = {}
    for key, (name, settings) in SETTINGS.items():
        kind = learner_class(name)
        given[key] = Model(kind(kind.Settings.model_validate(settings)), {"learner": name})
    image, other = torch.linspace(-1, 1, 128).reshape(2, 1, 8, 8)
    mask = (torch.arange(8) < 4).expand(8, 8)
    return {**given, "image": image, "other": other, "mask": mask}
