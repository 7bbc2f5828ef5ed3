"""What a person must see of MLflow's page after a run."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from flows.dashboard import Page
from tests.browser.conftest import NAME, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]  # a whole run comes first

NOISE = (
    "/ajax-api/2.0/mlflow/users/current",  # a server without accounts has no current user
    "ResizeObserver loop",  # its charts are drawn in the next frame; Chromium says so, no more
)
LOADED = """() => [...document.querySelectorAll("img")]
    .some((image) => image.src.includes("get-artifact") && image.naturalWidth > 20)"""


@pytest.fixture
def visitor(browser: Browser, served: dict[str, Page], shots: Path) -> Iterator[Visitor]:
    """A visitor of MLflow's page."""
    address = served["MLflow"].address
    made = Visitor(browser, address.partition("#")[0], shots, NOISE)
    made.page.goto(address)
    yield made
    made.leave()


def run_of(small: Path, name: str) -> str:
    """Return the path of a run's page, by the run's name."""
    with sqlite3.connect(small / "mlflow.db") as database:
        query = "SELECT experiment_id, run_uuid FROM runs WHERE name = ?"
        experiment, run = database.execute(query, [name]).fetchone()
    return f"#/experiments/{experiment}/runs/{run}"


def test_the_page_opens_at_the_runs_with_the_right_columns(visitor: Visitor) -> None:
    page = visitor.page
    page.get_by_role("link", name=NAME, exact=True).first.wait_for()
    for column in ("system", "dataset", "learner", "device"):
        page.locator(".ag-header-cell").get_by_text(column, exact=True).wait_for()
    for value in ("S10", "digits", "multigrid", "cpu"):
        page.locator(".ag-cell").get_by_text(value, exact=True).first.wait_for()
    visitor.keep("mlflow-runs")
    page.locator("[data-testid=expander-button], .ag-cell button").first.click()
    for stage in ("train-joint", "sample", "evaluate"):
        page.get_by_role("link", name=f"{NAME} {stage}", exact=True).wait_for()
    visitor.keep("mlflow-stages")


def test_a_flow_is_described_with_its_figures(visitor: Visitor, small: Path) -> None:
    page = visitor.open(run_of(small, NAME))
    for words in (f"{NAME} evaluate", "digits (", "all grids learned together"):
        page.get_by_text(words).first.wait_for()
    page.get_by_text("Show more", exact=True).click()
    page.get_by_role("cell", name="nearest_training", exact=True).first.scroll_into_view_if_needed()
    visitor.keep("mlflow-flow")


def test_a_flow_shows_pictures_among_its_charts(visitor: Visitor, small: Path) -> None:
    page = visitor.open(f"{run_of(small, NAME)}/model-metrics")
    page.get_by_text("error_20_labels", exact=True).first.wait_for()
    page.mouse.move(600, 600)
    until = time.monotonic() + 60
    while not page.evaluate(LOADED) and time.monotonic() < until:
        page.mouse.wheel(0, 800)  # they come after the figures, once they are scrolled to
        page.wait_for_timeout(300)
    assert page.evaluate(LOADED)
    visitor.keep("mlflow-pictures")


def test_a_stage_keeps_its_pictures(visitor: Visitor, small: Path) -> None:
    page = visitor.open(f"{run_of(small, f'{NAME} sample')}/artifacts")
    page.get_by_text("pictures", exact=True).first.click()
    page.get_by_text("grid_8.png", exact=True).first.click()
    page.locator("img[src^='blob:']").first.wait_for()
    visitor.keep("mlflow-artifacts")


def test_a_training_stage_shows_its_curves(visitor: Visitor, small: Path) -> None:
    page = visitor.open(f"{run_of(small, f'{NAME} train-joint')}/model-metrics")
    page.get_by_text("f_data", exact=True).first.wait_for()
    page.locator(".scatterlayer .js-line").first.wait_for()
    assert page.locator(".scatterlayer .js-line").count() >= 2
    visitor.keep("mlflow-curves")
