"""What a training stage leaves when its run diverged: its curves, its last pictures, the facts."""

import csv
import io
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ebm.health import Diverged
from ebm.samplers.noise import seed_range
from tasks.artefacts import new_folder, save_arrays, write_json, write_text
from tasks.inputs import TrainInputs
from tasks.paths import Paths

PAGE = "post-mortem.html"
SHOWN = {4: 25, 2: 500}  # images and points in a picture, by the dimensions of their tensor
PATIENCE = 120  # seconds that drawing the page may take


class Sampler(Protocol):
    """What is asked of a learner here; where its chains persist, its state has them."""

    def sample(self, seeds: list[int]) -> dict[int, list[Tensor]]:
        """Draw one item a seed, by grid."""

    def state_dict(self) -> dict[str, Any]:
        """Return its state."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a state."""


def leave(
    error: Diverged, learner: Sampler, name: str, part: str, inputs: TrainInputs, paths: Paths
) -> str:
    """Write .work/broken/NAME/PART.csv and PART/, have the page drawn, and say where it is.

    Args:
        error: what `fit` ended with.
        learner: as it was at the break; it is taken back to the last good state.
    """
    home = paths.work / "broken" / name
    write_text(home / f"{part}.csv", table(error.curves))
    facts = {
        "experiment": name,
        "part": part,
        "message": str(error),
        "evidence": error.verdict.evidence,
        "cause": error.verdict.cause,
        "advice": error.advice,
        "broken": error.broken,
        "events": error.events,
        "settings": inputs.model_dump(mode="json"),
    }
    with new_folder(home / part) as folder:
        write_json(folder / "facts.json", facts)
        save_arrays(folder / "pictures.npz", **pictures(error, learner))
    return draw(name, part, paths)


def pictures(error: Diverged, learner: Sampler) -> dict[str, np.ndarray]:
    """Return samples at the break and at the last good state, and the chains that persist there.

    They are those that are images or points in the plane, as `shown` returns them.
    """
    found = {"broken": sampled(learner), "broken_chains": kept(learner.state_dict())}
    learner.load_state_dict(error.good)
    found |= {"good": sampled(learner), "good_chains": kept(error.good)}
    drawn = {key: shown(x) for key, x in found.items() if x is not None}
    return {key: x for key, x in drawn.items() if x is not None}


def sampled(learner: Sampler) -> Tensor | None:
    """Return the finest samples, (N, ...), always from the same seeds; None if there are none."""
    try:
        x = finest(learner, SHOWN[4])
        return finest(learner, SHOWN[2]) if x.ndim == 2 else x
    except (ArithmeticError, RuntimeError, ValueError):  # a broken learner need not sample
        return None


def finest(learner: Sampler, count: int) -> Tensor:
    """Return so many of the finest samples, (N, ...)."""
    states = learner.sample(seed_range(0, count))
    return states[max(states)][-1]


def kept(state: dict[str, Any]) -> Tensor | None:
    """Return the end states of a learner's persistent chains, (M, ...); None if it has none."""
    return state.get("chains", {}).get("states")


def shown(x: Tensor) -> np.ndarray | None:
    """Return the first images, (N, C, H, W) in [-1, 1], or points, (N, 2); None of anything else.

    What is not finite becomes 0 in an image, grey; of points it is left out.
    """
    x = x[: SHOWN.get(x.ndim, 0)].float().cpu()
    if x.ndim == 4 and x.shape[1] in (1, 3):
        return torch.nan_to_num(x, 0.0, 1.0, -1.0).clamp(-1, 1).numpy()  # type: ignore[no-any-return]
    if x.ndim == 2 and x.shape[1] == 2:
        return x[torch.isfinite(x).all(1)].numpy()  # type: ignore[no-any-return]
    return None


def draw(name: str, part: str, paths: Paths) -> str:
    """Have the page drawn, and say where it is; another process does it.

    What draws need not be installed where a model is trained.
    """
    module, page = "tasks.report.post_mortem", paths.work / "broken" / name / part / PAGE
    command = [sys.executable, "-m", module, name, part, str(paths.root.resolve())]
    code = Path(__file__).parents[1]
    try:
        done = subprocess.run(command, check=False, cwd=code, capture_output=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        done = None
    if done and done.returncode == 0 and page.exists():
        return f"see {page}"
    return f"`python -m {module} {name} {part}` draws what happened"


def table(curves: dict[str, list[float]]) -> str:
    """Return the curves as csv, an iteration a line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", *curves])
    for step, row in enumerate(zip(*curves.values(), strict=True), 1):
        writer.writerow([step, *(f"{value:.6g}" for value in row)])
    return text.getvalue()
