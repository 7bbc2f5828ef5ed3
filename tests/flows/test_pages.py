"""The commands of the pages are run, page by page, in a tiny project or where another test does."""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
import yaml
from PIL import Image

from benchmarks.sandbox import Plain, copy_project, cut, prune
from flows.environment import variables
from flows.server import free_port, start, wait_for
from tasks.params_file import read_yaml
from tests.conftest import cut_down
from tests.flows.conftest import ROOT
from tests.flows.reader import Reader, blocks, commands

OUTLINE = "docs/add-a-system.md"  # its Python is what a learner has, left open
DIGITS = ["multigrid-digits", "multigrid-digits-joint"]
FOLDER = "multigrid-folder"
NAMES = [*DIGITS, FOLDER, "contrast-2d-rings-nce", "contrast-2d-moons-nce"]
ALL = ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
FOLLOWED = [
    "README.md",
    "docs/pipeline.md",
    "docs/recover.md",
    "docs/scale.md",
    "docs/own-pictures.md",
    "docs/two-dimensional.md",
    "docs/curves.md",
    "docs/security.md",
    "docs/dashboards.md",
    "docs/schedule.md",
    "docs/speed.md",
    "docs/gpu.md",
    OUTLINE,
]
STAYING = {
    "ebm serve": "ebm status says",
    "ebm dashboard": "Ctrl-C ends",
    "EBM_DASHBOARD_TOKEN": "Ctrl-C ends",
    "prefect worker": r"Worker .* started",
    "dask scheduler": r"Scheduler at:",
    "dask worker": r"Registered to:",
    "CUDA_VISIBLE_DEVICES=0 dask worker": r"Registered to:",
}
TOGETHER = ("prefect", "dask", "CUDA_VISIBLE_DEVICES")  # these stay while the next one runs
STAND_INS = {  # what a page leaves to its reader, and what this one puts there
    "HEAD": "127.0.0.1",
    "suite gpu": "suite multigrid-digits-joint",  # no GPU, but Dask's way to the workers
    "NAME": "multigrid-digits-joint",
    "PART": "joint",
    "STAGE": "joint",
}
BESIDE = {"ebm notify": "ebm serve multigrid-digits --every 6h"}  # what a command speaks to
LEARNS = "is run in test_pages_that_learn.py, on the data that EBM_DATA names"
MEASURES = "is run in test_pages_that_measure.py, in a copy of the whole project"
TUNNEL = "is run in test_tunnel.py, through a server of ssh"
HOSTS = "is run in tests/tasks/test_distributed.py, as two hosts on one machine"
ELSEWHERE = {  # how a command begins that another test runs, and which
    "make": MEASURES,
    ". .venv/bin/activate": MEASURES,
    "timeout 570 python -m tasks train": MEASURES,
    "python -m benchmarks.reliability": MEASURES,
    "python -m benchmarks.sampling": MEASURES,
    "python -m benchmarks.latent": MEASURES,
    "python -m benchmarks.suite": MEASURES,
    "python -m benchmarks.over": MEASURES,
    "pip install --no-deps --target": MEASURES,
    "pytest tests/test_fuzz.py": MEASURES,
    "ebm interpolate latent-mnist": LEARNS,
    "ebm translate": LEARNS,
    "ebm forecast": LEARNS,
    "ebm run latent-mnist": LEARNS,
    "ebm run anomaly-mnist-4": LEARNS,
    "ebm run abp-faces": LEARNS,
    "ebm run molecules": LEARNS,
    "ebm run trajectory": LEARNS,
    "ebm score latent-mnist": LEARNS,
    "ebm score molecules-zinc": LEARNS,
    "torchrun": HOSTS,
    "ssh": TUNNEL,
}


def reason(command: str) -> str | None:
    """Return which test runs a command instead, None where this one does."""
    if command.endswith("--help"):
        return None
    return next((why for start, why in ELSEWHERE.items() if command.startswith(start)), None)


def test_each_command_of_the_pages_is_run_by_a_test() -> None:
    pages = set(ALL) - {*FOLLOWED, "docs/versions.md"}  # that one has a test of its own
    left = [c for page in pages for c in commands(page) if reason(c) is None]
    assert not left
    every = [c for page in ALL for c in commands(page)]
    assert all(any(c.startswith(start) for c in every) for start in ELSEWHERE)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A reader in a project of a few experiments of seconds, with some pictures and points."""
    made = Reader(tmp_path_factory.mktemp("pages"))
    copy_project(made.project)
    shutil.copytree(ROOT / "benchmarks", made.project / "benchmarks")
    params = cut(read_yaml(ROOT / "params.yaml"), NAMES)
    for name in DIGITS:
        cut_down(params["experiments"][name])
    for stage in params["experiments"][FOLDER]["train"].values():
        for grid in stage["model"]["grids"]:
            grid.update(width=2, steps=2)
    params["experiments"][FOLDER]["apply"]["inpaint"].update(images=2, completions=2)
    graph = prune(read_yaml(ROOT / "dvc.yaml"), [*NAMES, "digits", "folder"])
    for name, content in (("params.yaml", params), ("dvc.yaml", graph)):
        text = yaml.dump(content, Dumper=Plain, sort_keys=False)
        (made.project / name).write_text(text)
    for name in ("requirements.lock", "prefect.yaml"):
        shutil.copy(ROOT / name, made.project)
    (made.project / "docs").mkdir()
    (made.project / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "revisions.json", made.project / "tests")
    fill(made)
    yield made


def fill(reader: Reader) -> None:
    """Give the reader the files that the pages speak of."""
    dice = np.random.default_rng(0)
    (reader.home / "Holiday").mkdir()
    for number in range(60):
        pixels = dice.integers(0, 255, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(reader.home / "Holiday" / f"{number}.jpg")
    half = np.zeros((224, 224), dtype=np.uint8)  # as large as the files of `ebm sample --each`
    half[:112] = 255
    for name, image in (("seven", half // 2), ("mask", half)):
        Image.fromarray(image).save(reader.project / f"{name}.png")
    (reader.project / "checkpoint.pt").write_bytes(b"parts of this come home one by one")
    np.savetxt(reader.project / "points.csv", dice.normal(size=(9, 2)), delimiter=",")


@contextmanager
def reachable(reader: Reader) -> Iterator[None]:
    """Have a Prefect server that PREFECT_API_URL names."""
    port, log = free_port(), reader.home / "server.log"
    with variables({"PREFECT_HOME": str(reader.home / "prefect")}):
        process = start(port, log)
    try:
        wait_for(process, port, log)
        reader.env["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
        yield
        del reader.env["PREFECT_API_URL"]
    finally:
        process.kill()
        process.wait()


def look(page: str, reader: Reader) -> None:
    """See that what a page promises is there."""
    here = reader.project
    if page == "README.md":
        assert {"index.html", *DIGITS} <= {path.name for path in (here / "results").iterdir()}
        assert "version 1 is" in reader.follow("ebm promote multigrid-digits")
        assert list(here.glob("multigrid-digits-samples*.png"))
    if page == "docs/pipeline.md":
        kept = read_yaml(here / "params.yaml")["experiments"]["multigrid-digits"]
        assert kept["train"]["grid-8"]["fit"]["updates"] == 300
        assert "Nothing would run" in reader.follow("ebm why multigrid-digits")
    if page == "docs/two-dimensional.md":
        figures = (here / "results" / "benchmarks" / "contrast_2d.md").read_text()
        assert "| | rings | moons |" in figures
    if page == "docs/own-pictures.md":
        manifest = json.loads((here / "data" / "prepared" / "folder" / "manifest.json").read_text())
        assert sum(manifest["sizes"].values()) == 60
    if page == "docs/schedule.md":
        assert "Nothing is scheduled" in reader.follow("ebm status")


def filled_in(command: str) -> str:
    """Return a command with something in the place of what the page leaves to its reader."""
    for left, given in STAND_INS.items():
        command = command.replace(left, given)
    return command


def bring_home(reader: Reader) -> None:
    """Have the folder that a page says has come home from another machine."""
    name = STAND_INS["NAME"]
    shutil.copytree(
        reader.project / "models" / name,
        reader.project / "path" / "to" / "models" / name,
        dirs_exist_ok=True,
    )


def tidy(reader: Reader) -> None:
    """Remove what the page before left beside the project's own folders."""
    for path in [reader.project / "pictures", *reader.project.glob("multigrid-digits-*")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("page", FOLLOWED)
def test_a_page_is_followed_from_its_first_command_to_its_last(page: str, reader: Reader) -> None:
    tidy(reader)
    if page == "README.md":  # its pictures are those of docs/own-pictures.md
        shutil.copytree(reader.home / "Holiday", reader.project / "pictures")
    with ExitStack() as stack:
        for command in map(filled_in, commands(page)):
            if reason(command):
                continue
            if command.startswith("ebm adopt"):
                bring_home(reader)
            if command.startswith("prefect") and "PREFECT_API_URL" not in reader.env:
                stack.enter_context(reachable(reader))
            if command.split(" http")[0] in BESIDE:
                server = BESIDE[command.split(" http")[0]]
                stack.enter_context(reader.leave(server, STAYING["ebm serve"]))
            stays = next((s for start, s in STAYING.items() if command.startswith(start)), None)
            if stays is None:
                reader.follow(command)
                continue
            if not command.startswith(TOGETHER):
                stack.close()  # the one before it
            stack.enter_context(reader.leave(command, stays))
    for block in [] if page == OUTLINE else blocks(page, "python"):
        reader.follow(f"python - <<'END'\n{block}\nEND")
    look(page, reader)
