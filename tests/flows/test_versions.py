"""docs/versions.md is followed from its first command to its last, in a tiny project."""

import re
import shutil
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.flows.conftest import GRID, JOINT, ROOT, TRAIN, copy_code, outputs, tiny
from tests.flows.reader import Reader, blocks

pytestmark = pytest.mark.slow

NAME = "multigrid-folder"
PAGE = "docs/versions.md"


def draw(folder: Path, count: int, seed: int) -> None:
    """Write pictures of blurred colours."""
    folder.mkdir(parents=True)
    source = np.random.default_rng(seed)
    for number in range(count):
        pixels = source.integers(0, 255, (4, 4, 3), dtype=np.uint8)
        smooth = Image.fromarray(pixels).resize((64, 64), Image.Resampling.BILINEAR)
        smooth.save(folder / f"{folder.name}-{number}.jpg")


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """A reader in a project under git and DVC, its one experiment cut down to seconds."""
    made = Reader(tmp_path)
    draw(made.home / "Holiday", 60, 0)
    draw(made.home / "Garden", 6, 1)
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
    for block in blocks(PAGE):
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
    for block in blocks(PAGE, "python"):
        script = f"python - <<'END'\n{block}\nprint(tuple(images.shape))\nEND"
        assert "(16, 3, 64, 64)" in reader.follow(script)


@pytest.mark.timeout(1500)
def test_an_experiment_of_dvc_reruns_what_stands_on_its_setting_and_is_taken_back(
    trained: Path, tmp_path: Path
) -> None:
    reader, text = Reader(tmp_path), (ROOT / PAGE).read_text()
    reader.follow("git add -A && git commit -qm start")
    model = Path("models") / GRID / "grid-8" / "model.pt"
    before, bytes_before = outputs(trained), model.read_bytes()
    (tried,) = re.findall(r"`(dvc exp run -S [^`]+ )train@NAME-PART`", text)
    changed = tried.replace("NAME", GRID).replace("PART", "grid-4")
    said = reader.follow(f"{changed} train@{GRID}-grid-8")
    ran = re.findall(r"Running stage '(.+)'", said)
    assert ran == [f"train@{GRID}-grid-4", f"train@{GRID}-grid-8"], said
    after = outputs(trained)
    assert {name for name in before if after[name] != before[name]} == set(ran)
    assert {"params.yaml", "dvc.lock"} <= set(reader.follow("git diff --name-only").split())
    back = r"`(git checkout params\.yaml dvc\.lock)`, then `(dvc checkout )train@NAME-PART( [^`]+)`"
    ((git, dvc, more),) = re.findall(back, text)
    reader.follow(f"{git} && {dvc}train@{GRID}-grid-8{more}")
    assert outputs(trained) == before and model.read_bytes() == bytes_before
    assert reader.follow("git status --porcelain") == ""
    assert "up to date" in reader.follow(f"dvc status train@{GRID}-grid-8")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server on this machine that speaks S3 and has the bucket BUCKET."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    urlopen(Request(f"http://{host}:{port}/BUCKET", method="PUT"))
    yield f"http://{host}:{port}"
    server.stop()


@pytest.mark.timeout(1500)
def test_a_bucket_keeps_data_and_results_of_a_project(
    trained: Path, bucket: str, tmp_path: Path
) -> None:
    reader = Reader(tmp_path)
    assert reader.project == trained
    words = {"https://HOST": bucket, "KEY": "anyone", "SECRET": "hidden"}
    (block,) = blocks(PAGE, "bash")
    reader.follow(reduce(lambda text, pair: text.replace(*pair), words.items(), block))
    assert "hidden" not in (reader.project / ".dvc" / "config").read_text()
    reader.follow("git add -A && git commit -qm 'Where data and models are kept'")
    reader.follow("dvc push --run-cache")
    reader.follow(
        "git clone -q . ../elsewhere && cp .dvc/config.local ../elsewhere/.dvc/ && "
        f"cd ../elsewhere && dvc pull --run-cache {TRAIN} --with-deps"
    )
    model = Path("models") / JOINT / "joint"
    for name in ("model.pt", "curves.csv"):
        pulled = tmp_path / "elsewhere" / model / name
        assert pulled.read_bytes() == (reader.project / model / name).read_bytes()
    said = reader.follow(f"cd ../elsewhere && dvc status {TRAIN}")
    assert "up to date" in said
