"""A report of the made-up project, opened in Chromium."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tasks.paths import Paths
from tasks.report import render
from tests.tasks.conftest import NAME, full, paths

__all__ = ["full", "paths"]

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
DRAWN = """() => !document.querySelector("img.tiles:not([hidden])")
    && document.getElementById("where").textContent.startsWith("Grid")"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium: the one that EBM_CHROMIUM names, else the system's."""
    program = os.environ.get("EBM_CHROMIUM") or shutil.which("chromium")
    if not program:
        pytest.skip("needs Chromium: `apt-get install chromium`, or its path in EBM_CHROMIUM")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program)
        yield started
        started.close()


class Reader:
    """Opens a report as a person would, and notes all that goes wrong.

    Attributes:
        wrong: the browser's complaints, errors of scripts, and requests for anything outside.
    """

    def __init__(self, browser: Browser, page: Path, shots: Path) -> None:
        self.browser, self.page, self.shots = browser, page, shots
        self.wrong: list[str] = []
        self.contexts: list[BrowserContext] = []

    def open(self, viewport: dict[str, int] = WIDE, scheme: str = "light", **more: object) -> Page:
        """Open the page, and wait until its pictures are drawn."""
        context = self.browser.new_context(viewport=viewport, color_scheme=scheme, **more)
        self.contexts.append(context)
        opened = context.new_page()
        opened.on("console", lambda said: self.wrong.append(f"{said.type}: {said.text}"))
        opened.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        opened.on("request", lambda request: self.note(request.url))
        opened.goto(self.page.as_uri())
        if more.get("java_script_enabled", True):
            opened.wait_for_function(DRAWN)
        return opened

    def note(self, address: str) -> None:
        """Note a request that leaves the page."""
        if address.partition("#")[0] != self.page.as_uri() and not address.startswith("data:"):
            self.wrong.append(f"request: {address[:200]}")

    def keep(self, page: Page, name: str) -> None:
        """Keep a picture of the whole page."""
        page.screenshot(path=self.shots / f"{name}.png", full_page=True)


@pytest.fixture
def reader(browser: Browser, full: Paths, tmp_path: Path) -> Iterator[Reader]:
    """A reader of the made-up project's report."""
    shots = Path(os.environ.get("EBM_SCREENSHOTS") or tmp_path / "screenshots")
    shots.mkdir(parents=True, exist_ok=True)
    made = Reader(browser, render(NAME, full), shots)
    yield made
    for context in made.contexts:
        context.close()
    assert made.wrong == []
