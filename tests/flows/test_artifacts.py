"""What Prefect is told of a run, and that nothing of it can stop one."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import prefect.artifacts
import pytest
from PIL import Image

from flows import artifacts
from flows.artifacts import Progress, flow_tags, followed, key, markdown, show_results, stage_tags
from flows.graph import Stage
from flows.work import Order, Row
from tasks.artefacts import write_json
from tasks.paths import Paths
from tasks.settings import Params, read
from tests.conftest import ROOT
from tests.flows.conftest import GRID, JOINT

TRAIN = Stage(f"train@{GRID}-grid-8", "train", GRID, "grid-8", (), (), (), "")
NEEDS = {GRID: [TRAIN.address, f"evaluate@{GRID}"]}


@pytest.fixture(scope="module")
def params() -> Params:
    """The project's settings."""
    return read(ROOT / "params.yaml")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Stand in for Prefect; what it is told is in the list."""
    heard: list[tuple[Any, ...]] = []

    def make(percent: float, name: str, text: str) -> str:
        heard.append(("make", percent, name, text))
        return "id"

    def change(artifact: str, percent: float, text: str) -> None:
        heard.append(("change", percent, artifact, text))

    def note(kind: str) -> Any:
        return lambda content, name, text: heard.append((kind, content, name, text))

    monkeypatch.setattr(prefect.artifacts, "create_progress_artifact", make)
    monkeypatch.setattr(prefect.artifacts, "update_progress_artifact", change)
    monkeypatch.setattr(prefect.artifacts, "create_markdown_artifact", note("page"))
    monkeypatch.setattr(prefect.artifacts, "create_image_artifact", note("picture"))
    return heard


@pytest.fixture
def results(tmp_path: Path) -> Paths:
    """Figures and pictures of an experiment."""
    paths = Paths(tmp_path)
    folder = paths.results(GRID)
    figure = {"metric": "nearest_training", "value": 0.51234, "spread": 0.012, "floor": 0}
    write_json(folder / "metrics.json", {"metrics": [{**figure, "ceiling": 0.25}]})
    pixels = np.random.default_rng(0).integers(0, 255, (900, 1200, 3), dtype=np.uint8)
    for name in ("samples/grid_4", "samples/grid_8", "apply/inpaint"):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return paths


def order(root: Path, stage: Stage = TRAIN, **more: Any) -> Order:
    return Order(root, stage, **{"reasons": ["new"], **more})


def test_tags_name_what_a_run_is_of(params: Params) -> None:
    assert flow_tags(params, [GRID]) == {GRID, "S10"}
    assert flow_tags(params, [GRID, JOINT]) == {GRID, JOINT, "S10"}
    many = list(params.experiments)
    assert "suite" in flow_tags(params, many) and not set(many) & flow_tags(params, many)
    assert stage_tags(params, TRAIN) == {"train", GRID, "S10"}
    data = TRAIN._replace(verb="prepare", name="digits", part=None)
    assert stage_tags(params, data) == {"prepare", "digits"}


def test_progress_follows_the_live_file_and_ends_with_what_became_of_the_stage(
    tmp_path: Path, told: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "PACE", 0.01)
    live = Paths(tmp_path).live("train", GRID, "grid-8")
    row = Row(TRAIN.address, "Ran", 75.0, "it has never run")

    def work() -> Row:
        write_json(live, {"done": 150, "total": 600, "left": 65.0, "text": "healthy"})
        while len(told) < 2:
            time.sleep(0.01)
        live.write_text("{")
        return row

    assert followed(order(tmp_path), work) == row
    name, said = f"progress-{GRID}-train-grid-8", f"{TRAIN.address}: "
    assert told[0] == ("make", 0.0, name, f"{said}begins")
    assert told[1] == ("change", 25.0, "id", f"{said}150/600, 1 min 5 s left, healthy")
    assert told[-1] == ("change", 100.0, "id", f"{said}ran, 1 min 15 s: it has never run")


def test_a_stage_that_failed_keeps_how_far_it_came(
    tmp_path: Path, told: list[tuple[Any, ...]]
) -> None:
    progress = Progress(order(tmp_path))
    progress.percent, progress.row = 40.0, Row(TRAIN.address, "Failed", 3.0, "no luck")
    progress.ended.set()
    progress.watch()
    assert told[-1] == ("change", 40.0, "id", f"{TRAIN.address}: failed, 3 s: no luck")


def test_what_is_not_trained_has_no_progress(tmp_path: Path, told: list[Any]) -> None:
    row = Row("x", "UpToDate", 0.0, "")
    fresh = order(tmp_path, reasons=None)
    for each in (fresh, order(tmp_path, refused="no GPU"), order(tmp_path, SAMPLE)):
        assert followed(each, lambda: row) == row
    assert told == []


SAMPLE = TRAIN._replace(address=f"sample@{GRID}", verb="sample", part=None)


def test_a_server_that_is_gone_stops_nothing(
    results: Paths, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any) -> None:
        raise ConnectionError("no server")

    for name in ("progress", "markdown"):
        monkeypatch.setattr(prefect.artifacts, f"create_{name}_artifact", gone)
    row = Row(TRAIN.address, "Ran", 1.0, "new")
    assert followed(order(results.root), lambda: row) == row
    with pytest.raises(ValueError, match="its own"):
        followed(order(results.root), raise_its_own)
    show_results(results, params, NEEDS, dict.fromkeys(NEEDS[GRID], row))


def raise_its_own() -> Row:
    raise ValueError("its own")


def test_results_are_a_page_with_figures_pictures_and_the_report(
    results: Paths, params: Params, told: list[tuple[Any, ...]]
) -> None:
    rows = {
        a: Row(a, state, 30.0, "")
        for a, state in zip(NEEDS[GRID], ("UpToDate", "Ran"), strict=True)
    }
    show_results(results, params, NEEDS, rows)
    [page, picture] = told
    assert page[2:] == (f"results-{GRID}", f"Results of {GRID}")
    assert "| metric | value | floor | ceiling | tutorial | goal |" in page[1]
    assert "| nearest_training | 0.5123 ± 0.012 | 0 | 0.25 |" in page[1]
    assert "1 min 0 s of work" in page[1] and f"results/{GRID}/report.html" in page[1]
    assert page[1].count("](data:image/webp;base64,") == 2
    assert len(page[1]) < 400_000
    assert picture[2:] == (f"picture-{GRID}", f"{GRID}: grid 8")
    assert len(base64.b64decode(picture[1].partition(",")[2])) < 200_000


@pytest.mark.parametrize(
    ("addresses", "state"),
    [
        (NEEDS[GRID][:1], "Ran"),  # one stage alone: its figures may be of other settings
        (NEEDS[GRID], "UpToDate"),
        (NEEDS[GRID], "Failed"),
    ],
)
def test_no_results_where_they_are_not_of_this_run(
    results: Paths, params: Params, told: list[Any], addresses: list[str], state: str
) -> None:
    rows = {address: Row(address, state, 1.0, "") for address in addresses}
    show_results(results, params, {GRID: addresses}, rows)
    assert told == []


def test_an_experiment_without_figures_says_so(tmp_path: Path, params: Params) -> None:
    text = markdown(Paths(tmp_path), GRID, params.experiments[GRID], 1.0, {})
    assert "Nothing was measured." in text
    json.dumps(text)


def test_keys_are_as_prefect_takes_them(params: Params) -> None:
    for name in params.experiments:
        assert set(key("results", name)) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
