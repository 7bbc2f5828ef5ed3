"""Commands of pages whose experiments have larger data: all are run, for a few iterations."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from benchmarks.sandbox import Plain, copy_project, prune
from tasks.params_file import read_yaml
from tests.conftest import DATA
from tests.flows.conftest import ROOT
from tests.flows.reader import Reader, commands
from tests.flows.test_pages import ALL, LEARNS, reason

pytestmark = [
    pytest.mark.slow,
    pytest.mark.data,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(not DATA, reason="needs EBM_DATA, which names the folder of larger data"),
]

WALKS, TRANSLATION = "trajectory-zara1", "translate-anime-hair"
NAMES = ["latent-mnist", "latent-mnist-2d", "abp-faces", "abp-faces-incomplete", "anomaly-mnist-4"]
NAMES += ["molecules-moses", "molecules-zinc", WALKS, "trajectory-eth", TRANSLATION]
BESIDE = "anime-black"  # what is translated
MOLECULES = ("molecules-moses", "molecules-zinc")
SOME_VALID = 250  # updates, after which some strings of a thousand are molecules
STAND_INS = {"updates=2400": f"updates={SOME_VALID + 1}"}
MOST = {  # of a setting with this name, wherever it stands
    "updates": 4,
    "hidden": 96,
    "check_every": 2,
    "checkpoint_every": 2,
    "warm_up": 2,
    "feature_epochs": 1,
    "count": 100,
    "shown": 10,
    "images": 40,
    "draws": 20,
    "steps": 20,
    "sample_steps": 20,
    "keep": 5,
    "candidates": 40,
    "inferred": 20,
    "subsets": 4,
}


def cut(settings: Any) -> Any:
    """Return settings with no number larger than it needs to be."""
    if isinstance(settings, list):
        return [cut(each) for each in settings]
    if not isinstance(settings, dict):
        return settings
    return {
        key: min(value, MOST[key]) if key in MOST and isinstance(value, int) else cut(value)
        for key, value in settings.items()
    }


def told(page: str) -> list[str]:
    """Return the commands of a page that are run here."""
    found = [command for command in commands(page) if reason(command) == LEARNS]
    for left, given in STAND_INS.items():
        found = [command.replace(left, given) for command in found]
    return found


PAGES = sorted((page for page in ALL if told(page)), key=lambda page: "latent" not in page)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A reader in a project of those experiments, with files of every kind that they take."""
    made = Reader(tmp_path_factory.mktemp("learning"))
    made.env["EBM_DATA"] = str(Path(DATA or "").resolve())
    copy_project(made.project)
    params = read_yaml(ROOT / "params.yaml")
    params["experiments"] = {name: cut(params["experiments"][name]) for name in NAMES}
    for name in MOLECULES:
        params["experiments"][name]["train"]["learn"]["fit"]["updates"] = SOME_VALID
        params["experiments"][name]["sample"]["count"] = 1000
    kept = {each["dataset"] for each in params["experiments"].values()} | {BESIDE}
    params["datasets"] = {name: params["datasets"][name] for name in sorted(kept)}
    params["references"] = {
        name: each for name, each in params["references"].items() if each["dataset"] in kept
    }
    sources = {each["source"] for each in params["datasets"].values()}
    sources |= {Path(each["weights"]).parent.name for each in params["references"].values()}
    whole = read_yaml(ROOT / "dvc.yaml")
    graph = prune(whole, [*NAMES, *sources])
    graph["stages"]["reference"] = whole["stages"]["reference"]
    for name, content in (("params.yaml", params), ("dvc.yaml", graph)):
        text = yaml.dump(content, Dumper=Plain, sort_keys=False)
        (made.project / name).write_text(text)
    fill(made)
    yield made


def fill(reader: Reader) -> None:
    """Give the reader the files that the commands name."""
    dice = np.random.default_rng(0)
    here = reader.project
    for name in ("one", "seven", "face"):
        Image.fromarray(dice.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(
            here / f"{name}.png"
        )
    (here / "pictures").mkdir()
    shutil.copy(here / "one.png", here / "pictures")
    walk = [f"{10 * step} {who} {0.4 * step} {who}" for step in range(9) for who in (1, 2)]
    (here / "square.csv").write_text("\n".join(walk) + "\n")
    (here / "mine.smi").write_text("CCO\nc1ccccc1\n")


def learned(reader: Reader, name: str) -> bool:
    """Tell whether an experiment has been run."""
    return (reader.project / "results" / name / "metrics.json").exists()


@pytest.mark.parametrize("page", PAGES)
def test_its_commands_are_run(page: str, reader: Reader) -> None:
    for made in reader.project.glob("*-seed-*"):  # by the page before
        made.unlink()
    for command in told(page):
        name = next(word for word in command.split() if word in NAMES)
        if not command.startswith("ebm run") and not learned(reader, name):
            reader.follow(f"ebm run {name}")
        reader.follow(command)
        assert learned(reader, name)


def test_every_such_command_is_of_an_experiment_here() -> None:
    every = [command for page in ALL for command in told(page)]
    assert len(every) >= 15
    assert all(set(command.split()) & set(NAMES) for command in every)
