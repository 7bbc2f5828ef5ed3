"""docs/versions.md is followed from its first command to its last, in a tiny project."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.flows.conftest import ROOT, copy_code, tiny

pytestmark = pytest.mark.slow

NAME = "multigrid-folder"
PAGE = (ROOT / "docs" / "versions.md").read_text()
SH = re.findall(r"^```sh\n(.*?)^```", PAGE, re.M | re.S)
PYTHON = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)


def draw(folder: Path, count: int, seed: int) -> None:
    """Write pictures of blurred colours."""
    folder.mkdir(parents=True)
    source = np.random.default_rng(seed)
    for number in range(count):
        pixels = source.integers(0, 255, (4, 4, 3), dtype=np.uint8)
        smooth = Image.fromarray(pixels).resize((64, 64), Image.Resampling.BILINEAR)
        smooth.save(folder / f"{folder.name}-{number}.jpg")


class Reader:
    """Follows the page in a project of its own, with a home and a program `ebm` of its own."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        home, programs = folder / "home", folder / "bin"
        draw(home / "Holiday", 60, 0)
        draw(home / "Garden", 6, 1)
        programs.mkdir()
        ebm = programs / "ebm"
        ebm.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m flows "$@"\n')
        ebm.chmod(0o755)
        who = {
            f"GIT_{w}_{k}": "a@b.example"
            for w in ("AUTHOR", "COMMITTER")
            for k in ("NAME", "EMAIL")
        }
        path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        cache = str(folder / "site")
        self.env = {
            **os.environ,
            **who,
            "HOME": str(home),
            "PATH": path,
            "DVC_SITE_CACHE_DIR": cache,
        }
        self.env.pop("PYTHONPATH", None)

    def follow(self, script: str) -> str:
        """Run a block of the page; a command that fails fails the test."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.project,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout + done.stderr


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """A reader in a project under git and DVC, its one experiment cut down to seconds."""
    made = Reader(tmp_path)
    made.project.mkdir()
    copy_code(made.project)
    content = yaml.load((ROOT / "params.yaml").read_text(), yaml.CSafeLoader)
    experiment = tiny(content)["experiments"][NAME]
    experiment["sample"] = {"count": 12, "draws": 2, "keep": 1, "shown": 4}
    experiment["apply"]["inpaint"].update(images=2, completions=2, masks=["half"])
    (made.project / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    made.follow("git init -q -b main && dvc init -q && git add -A && git commit -qm start")
    yield made
    shutil.rmtree(tmp_path / "ebm-store", ignore_errors=True)


@pytest.mark.timeout(3000)
def test_the_page_on_versions_does_what_it_says(reader: Reader) -> None:
    said = {}
    for block in SH:
        said[block.split("\n")[0].split("#")[0].strip()] = reader.follow(block)
    assert "prepare@folder would run:\n  pictures changed" in said["cp ~/Garden/*.jpg pictures/"]
    beside = said[f"ebm compare {NAME}@HEAD~1 {NAME}"]
    assert "The data differ" in beside and "Every setting is the same" in beside
    assert "nearest_training" in beside and "curves of" not in beside
    assert "Nothing would run" in said["git switch --detach HEAD~1"]
    there = said["git clone . ../elsewhere && cd ../elsewhere"]
    assert "begins" not in there and "Ran" not in there
    figures = f"results/{NAME}/metrics.json"
    elsewhere = reader.project.parent / "elsewhere"
    assert (elsewhere / figures).read_bytes() == (reader.project / figures).read_bytes()
    promoted = said[f"ebm promote {NAME}"]
    assert promoted.count("version 1 is ") == 3
    for block in PYTHON:
        script = f"python - <<'END'\n{block}\nprint(tuple(images.shape))\nEND"
        assert "(16, 3, 64, 64)" in reader.follow(script)
