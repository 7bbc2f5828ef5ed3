"""An unfinished run is judged as it stands, and goes on."""

from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import over_time
from ebm.stored import load
from tasks import __main__ as command
from tasks.artefacts import read_json, save_arrays, write_json
from tasks.paths import Paths

PROJECT = Path(__file__).parents[2]


class Stopped(Exception):
    """Stands for the time limit."""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the plane's quickest experiment, cut to 20 iterations, and its data."""
    import yaml

    name = "contrast-2d-rings-cd"
    content = yaml.safe_load((PROJECT / "params.yaml").read_text())
    experiment = content["experiments"][name]
    experiment["train"]["learn"]["fit"] |= {"updates": 20, "checkpoint_every": 5, "check_every": 1}
    content["experiments"] = {name: experiment}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.chdir(tmp_path)
    x = torch.randn(500, 2, generator=torch.Generator().manual_seed(0)).numpy()
    data = Paths().prepared("densities-rings")
    data.mkdir(parents=True)
    save_arrays(data / "train.npz", x=x, y=x[:, 0].astype("int64"))
    write_json(data / "manifest.json", {"raw": {}, "classes": 1})
    return tmp_path


def test_piece_is_judged_by_its_averaged_networks_and_the_next_goes_on(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, calls = "contrast-2d-rings-cd", []
    judged = []

    def stage(root: Path, *arguments: str, seconds: float | None = None) -> bool:
        calls.append(arguments)
        if len(calls) == 1:  # cut off after 12 of 20 iterations, 10 of which are kept
            with pytest.MonkeyPatch.context() as patch, pytest.raises(Stopped):
                cut_off_after(12, patch)
                command.run(*arguments)
            return False
        command.run(*arguments)
        return True

    def measured(root: Path, name: str) -> dict[str, Any]:
        f = load(Paths(root).model(name, "learn")).learner.networks["f"]
        judged.append([p.detach().clone() for p in f.parameters()])
        return {"kl": {"value": 1.0, "floor": 0.0}}

    for each in (stage, measured):
        monkeypatch.setattr(over_time, each.__name__, each)
    over_time.main(name, 1.0, 1)
    over_time.main(name, 1.0, 5)
    found = read_json(project / "results" / "benchmarks" / "over_time" / f"{name}.json")
    assert [point["iterations"] for point in found["points"]] == [10, 20]
    assert found["points"][1]["minutes"] >= found["points"][0]["minutes"]
    assert any(not torch.equal(a, b) for a, b in zip(*judged, strict=True))
    assert len(calls) == 2  # finished: no third piece


def cut_off_after(iterations: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the run end as if it were killed."""
    from ebm.run import Run

    iterate = Run.iterate

    def limited(self: Run) -> None:
        if self.step == iterations:
            raise Stopped
        iterate(self)

    monkeypatch.setattr(Run, "iterate", limited)


def test_name_that_is_wrong_is_refused(project: Path) -> None:
    with pytest.raises(ValueError, match="no experiment 'contrast-3d'; did you mean"):
        over_time.main("contrast-3d", 1.0, 1)


def test_too_short_a_piece_is_told(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="give more --minutes"):
        over_time.last_checkpoint(Paths(tmp_path), "x", "learn")
