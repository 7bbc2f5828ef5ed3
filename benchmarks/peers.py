"""Other libraries that run Langevin chains: where they are, and the process of the one named `ebm`.

Each lies in a folder of its own, so that torch is not installed twice and ebmkit does not hide us.
"""

import json
import os
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

PINNED = {"torchebm": "0.8.9", "ebmkit": "0.16.0"}
ROOT = Path(__file__).parents[1]
FOLDER = Path(".work/peers")


def pip_line(name: str, folder: Path = FOLDER) -> str:
    """Return the command that installs a peer."""
    return f"pip install --no-deps --target {folder / name} {name}=={PINNED[name]}"


def version(name: str, folder: Path) -> str | None:
    """Return the version of a peer in its folder, or in the environment; None: there is none."""
    for where in ([str(folder / name)], sys.path):
        for found in distributions(name=name, path=where):
            return found.version
    return None


def reach(name: str, folder: Path) -> None:
    """Let a peer be imported here, after all that is installed."""
    sys.path.append(str(folder / name))


class Ebmkit:
    """A process in which `ebm` is ebmkit; it builds the same networks and times itself.

    Args:
        folder: holds ebmkit's folder.
        device: cpu or cuda.
        threads: of torch.
    """

    def __init__(self, folder: Path, device: str, threads: int) -> None:
        search = os.pathsep.join([str((folder / "ebmkit").resolve()), str(ROOT)])
        self.process = subprocess.Popen(
            [sys.executable, "-P", ROOT / "benchmarks/ebmkit_worker.py", device, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": search},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(60)

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send one request, and return the answer.

        Raises:
            RuntimeError: the process has ended.
        """
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError("the process of ebmkit ended; what it printed stands above")
        return json.loads(answer)

    def seconds(self, contender: str, name: str, chains: int, steps: int, layout: str) -> float:
        """Return how long ebmkit, or the bare loop, takes in that process."""
        asked = {"contender": contender, "name": name, "chains": chains}
        return float(self.ask(**asked, steps=steps, layout=layout)["seconds"])

    def end(
        self, name: str, chains: int, steps: int, layout: str, noise: float, step_size: float
    ) -> Tensor:
        """Return the end states of ebmkit's chains."""
        asked = {"contender": "ebmkit", "name": name, "chains": chains, "steps": steps}
        answer = self.ask(**asked, layout=layout, changes={"noise": noise, "step_size": step_size})
        return torch.tensor(answer["end"])
