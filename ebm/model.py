"""A trained model's folder: complete in itself, read as data."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from ebm.checkpoint import read, write
from ebm.learn import learner_class

FORMAT = 1


class Model:
    """A learner with everything under it, ready to sample.

    Attributes:
        learner: the learner of the last stage, standing on those before.
        about: what model.json says.
    """

    def __init__(self, learner: Any, about: dict[str, Any]) -> None:
        self.learner, self.about = learner, about

    def sample(self, count: int, seed: int = 0, batch: int = 250) -> Tensor:
        """Draw images, (count, C, H, W) in [-1, 1]; image i depends on (seed, i) alone."""
        from ebm.samplers.noise import seed_range

        parts = [
            self.learner.sample(seed_range(seed, min(batch, count - first), first))
            for first in range(0, count, batch)
        ]
        return torch.cat([part[self.learner.size][-1] for part in parts]).clamp(-1, 1)

    def features(self, x: Tensor) -> Tensor:
        """Return the learned features of x: (N, C, H, W) in [-1, 1], as (N, D)."""
        return self.learner.features(x)

    def score(self, x: Tensor) -> Tensor:
        """Return f(x), (N,), of x: (N, C, H, W) in [-1, 1]: high is likely, up to log Z."""
        return self.learner.score(x)


def save(folder: Path, name: str, learner: Any, networks: nn.Module) -> None:
    """Write a learner's settings and networks, with those of every stage below it.

    Args:
        folder: an existing folder; model.json and model.pt are written there.
        name: the learner's name in `ebm.learn`.
        networks: the networks to keep for the last stage: the averaged ones.
    """
    stages = list(lineage(learner))
    weights = [stage.networks.state_dict() for stage in stages[:-1]] + [networks.state_dict()]
    about = {
        "format": FORMAT,
        "learner": name,
        "stages": [stage.settings.model_dump(mode="json") for stage in stages],
    }
    write(folder / "model.pt", {str(i): dict(w) for i, w in enumerate(weights)})
    (folder / "model.json").write_text(json.dumps(about, indent=1) + "\n")


def load(folder: str | Path, device: str = "cpu") -> Model:
    """Load a trained model from its folder.

    Raises:
        FileNotFoundError: the folder holds no model.
        ValueError: the model is of another format, damaged, or its parts do not belong together.

    Example: `load("models/multigrid-digits/grid-8").sample(16, seed=0)`
    """
    folder = Path(folder)
    if not (folder / "model.json").is_file():
        raise FileNotFoundError(f"{folder} holds no model.json; give a trained model's folder")
    about = read_about(folder / "model.json")
    try:
        weights = read(folder / "model.pt")
    except ValueError:
        raise ValueError(f"{folder}/model.pt is damaged; run its training stage again") from None
    try:
        learner = build(about["learner"], about["stages"], weights, device)
    except ValidationError as error:
        what = error.errors()[0]
        key = ".".join(map(str, what["loc"]))
        raise ValueError(f"{folder}/model.json: {key}: {what['msg']}") from None
    return Model(learner, about)


def read_about(path: Path) -> dict[str, Any]:
    """Return what a model.json says of the model beside it.

    Raises:
        ValueError: it is no JSON, of another format, or incomplete.
    """
    try:
        about = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); train the model again") from None
    found = about.get("format") if isinstance(about, dict) else None
    if found != FORMAT or not {"learner", "stages"} <= set(about):
        raise ValueError(f"{path} is of format {found} or incomplete; this reads format {FORMAT}")
    if not about["stages"]:
        raise ValueError(f"{path} names no stage; train the model again")
    return about


def build(name: str, stages: Sequence[Any], weights: dict[str, Any], device: str) -> Any:
    """Rebuild a learner from the settings and weights of its stages, the lowest first."""
    kind, learner = learner_class(name), None
    for index, settings in enumerate(stages):
        learner = kind(kind.Settings.model_validate(settings), below=learner, device=device)
        try:
            learner.networks.load_state_dict(weights[str(index)])
        except (KeyError, RuntimeError) as error:
            first = str(error).strip().splitlines()[0]
            raise ValueError(f"model.pt does not fit model.json ({first})") from error
    return learner


def lineage(learner: Any) -> list[Any]:
    """Return the learners of all stages, the lowest first."""
    return [*(lineage(learner.below) if learner.below else []), learner]
