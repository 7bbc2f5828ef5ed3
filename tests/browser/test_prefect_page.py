"""What a person must see of Prefect's page after a run."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from flows import status
from flows.dashboard import Page
from tests.browser.conftest import NAME, RUN, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]  # a whole run comes first

NOISE = ("/ico/undefined.svg",)  # the icon of a run whose state is not known yet
STAGES = ("fetch@digits", "prepare@digits", f"train@{NAME}-joint", f"evaluate@{NAME}")


def ask(served: dict[str, Page], what: str) -> list[dict[str, Any]]:
    """Ask Prefect's server for all of something."""
    return status.ask(served["Prefect"].port, f"{what}/filter", {})


@pytest.fixture
def visitor(browser: Browser, served: dict[str, Page], shots: object) -> Iterator[Visitor]:
    """A visitor of Prefect's page."""
    made = Visitor(browser, served["Prefect"].address, shots, NOISE)
    yield made
    made.leave()


def test_the_page_opens_with_the_run_by_its_name(visitor: Visitor) -> None:
    page = visitor.open()
    page.get_by_text("Completed").first.wait_for()
    page = visitor.open("runs")
    page.get_by_role("link", name=NAME, exact=True).first.wait_for()
    assert page.get_by_text("S10", exact=True).first.is_visible()
    visitor.keep("prefect-runs")


def test_a_run_shows_its_graph_tags_and_stages(visitor: Visitor, served: dict[str, Page]) -> None:
    [run] = ask(served, "flow_runs")
    page = visitor.open(f"runs/flow-run/{run['id']}")
    for tag in (NAME, "S10"):
        page.get_by_text(tag, exact=True).first.wait_for()
    graph = page.locator("canvas").first
    graph.wait_for()
    page.wait_for_timeout(4000)  # the graph comes in by a movement
    assert graph.bounding_box()["width"] > 600
    visitor.keep("prefect-flow-run")
    page.get_by_text("Task Runs", exact=True).first.click()
    for stage in STAGES:
        page.get_by_text(stage, exact=True).first.wait_for()
    for tag in ("train", "evaluate"):
        assert page.get_by_text(tag, exact=True).first.is_visible()
    visitor.keep("prefect-stages")


def test_a_run_lists_its_progress_and_results(visitor: Visitor, served: dict[str, Page]) -> None:
    [run] = ask(served, "flow_runs")
    page = visitor.open(f"runs/flow-run/{run['id']}")
    page.get_by_text("Artifacts", exact=True).first.click()
    for name in (f"results-{NAME}", f"picture-{NAME}"):
        page.get_by_text(name).first.wait_for()
    page = visitor.open("artifacts")
    page.get_by_text(f"progress-{NAME}-train-joint").first.wait_for()
    visitor.keep("prefect-artifacts")


def test_the_results_have_figures_and_pictures(visitor: Visitor, served: dict[str, Page]) -> None:
    found = {each["key"]: each for each in ask(served, "artifacts")}
    assert found[f"progress-{NAME}-train-joint"]["data"] == 100
    page = visitor.open(f"artifacts/artifact/{found[f'results-{NAME}']['id']}")
    page.get_by_role("heading", name=NAME, exact=True).wait_for()
    for words in ("floor", "ceiling", "tutorial", "nearest_training", "report.html"):
        assert page.get_by_text(words).first.is_visible(), words
    pictures = page.locator("img[src^='data:image']")
    pictures.first.wait_for()
    assert pictures.evaluate_all("(all) => all.every((one) => one.naturalWidth > 100)")
    visitor.keep("prefect-results", full=True)


@pytest.fixture
def endless(small: Path) -> Iterator[None]:
    """The same experiment trains on and on; Ctrl-C ends it. The tests of one run come before."""
    words = ["run", NAME, "--set", "train.joint.fit.updates=1000000"]
    told = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_API")}
    told |= {"PYTHONPATH": str(small), "PREFECT_HOME": str(small / ".prefect")}
    process = subprocess.Popen([sys.executable, "-c", f"{RUN}({words!r})"], cwd=small, env=told)
    yield
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130


def test_progress_is_seen_while_a_stage_trains(
    visitor: Visitor, served: dict[str, Page], endless: None
) -> None:
    until, found = time.monotonic() + 180, []
    while not found:
        assert time.monotonic() < until, "no progress is told"
        time.sleep(1)
        every = [a for a in ask(served, "artifacts") if a["key"] == f"progress-{NAME}-train-joint"]
        found = [each["id"] for each in every if each["data"] < 100 and "/" in each["description"]]
    page = visitor.open(f"artifacts/artifact/{found[0]}")
    page.get_by_text("/1000000, ").first.wait_for()
    assert page.get_by_text(" left").first.is_visible()
    visitor.keep("prefect-progress")
