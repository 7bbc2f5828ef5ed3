"""A trained model's folder, model.json and model.pt: complete in itself, read as data."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import nn

from ebm.checkpoint import read, write
from ebm.learn import learner_class
from ebm.model import Model

FORMAT = 1
TENSOR = re.compile(r'(?:size mismatch for |in state_dict: )"?([\w.]+)')  # as torch names one


def save(folder: Path, name: str, learner: Any, networks: nn.Module) -> None:
    """Write a learner's settings and networks, with those of every stage below it.

    A learner with a method `kept` also has its persistent chains kept, as many as that returns.

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
    content: dict[str, Any] = {str(i): dict(w) for i, w in enumerate(weights)}
    kept = learner.kept() if hasattr(learner, "kept") else None
    write(folder / "model.pt", content if kept is None else {**content, "chains": kept})
    (folder / "model.json").write_text(json.dumps(about, indent=1) + "\n")


def load(folder: str | Path, device: str = "cpu") -> Model:
    """Load a trained model from its folder.

    Raises:
        FileNotFoundError: the folder holds no model.
        ValueError: the model is of another format, damaged, or its parts do not belong together.

    Example; the folders of a pipeline's models are models/NAME/PART:

        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as trained:
        ...     save(Path(trained), "multigrid", model.learner, model.learner.networks)
        ...     load(trained).sample(16, seed=0).shape
        torch.Size([16, 1, 8, 8])
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
        about = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON ({error}); train the model again") from None
    found = about.get("format") if isinstance(about, dict) else None
    if found != FORMAT or not {"learner", "stages"} <= set(about):
        raise ValueError(f"{path} is of format {found} or incomplete; this reads format {FORMAT}")
    if not isinstance(about["learner"], str) or not isinstance(about["stages"], list):
        raise ValueError(f"{path} names its learner or its stages wrongly; train the model again")
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
        except (AttributeError, KeyError, TypeError, RuntimeError) as error:
            raise ValueError(misfit(error, learner.networks, weights, index)) from error
        # What a learner holds still while it learns may be trained by those who use the model.
        learner.networks.requires_grad_(True)
    surplus = sorted({*map(str, weights)} - {*map(str, range(len(stages))), "chains"})
    if surplus:
        raise ValueError(
            f"model.pt does not fit model.json, so they are of two models: it has weights for "
            f"stage {surplus[0]}, counted from 0, and model.json names {len(stages)} stages"
        )
    restore = getattr(learner, "restore", None)
    if restore is not None:
        restore(weights.get("chains"))
    return learner


def misfit(error: Exception, networks: nn.Module, weights: dict[str, Any], index: int) -> str:
    """Say why weights do not fit a stage's networks, naming the first tensor that does not.

    Args:
        error: what loading them raised.
        networks: of the stage, as its settings make them.
        weights: all that model.pt holds.
        index: of the stage, from 0.
    """
    two = "model.pt does not fit model.json, so they are of two models"
    found, right = weights.get(str(index)), networks.state_dict()
    key = TENSOR.search(str(error))
    if not isinstance(found, dict) or key is None:
        return f"{two}: it has no weights for stage {index}, counted from 0"
    there, wanted = (
        "x".join(map(str, state[key[1]].shape)) or "a number" if key[1] in state else "none"
        for state in (found, right)
    )
    return f"{two}: {key[1]} of stage {index} is {there} there, and by model.json {wanted}"


def lineage(learner: Any) -> list[Any]:
    """Return the learners of all stages, the lowest first."""
    return [*(lineage(learner.below) if learner.below else []), learner]
