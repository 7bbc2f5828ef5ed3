"""What Chromium opens: the made-up project's report, and the dashboards of a small real run."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from flows import dashboard
from flows.server import free_port
from tasks.paths import Paths
from tasks.report import render
from tests.conftest import cut_down
from tests.flows.conftest import ROOT, copy_code
from tests.tasks.conftest import NAME, full, paths

__all__ = ["full", "paths"]

RUN = "from flows.cli import app; app"
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


class Visitor:
    """Opens a server's pages; outside requests are noted and go nowhere.

    Args:
        home: the one address that may be asked.
        noise: what the browser says of the server's own faults, as a part of each line.
    """

    def __init__(
        self, browser: Browser, home: str, shots: Path, noise: Sequence[str] = (), **more: object
    ) -> None:
        self.home, self.shots, self.noise = home, shots, noise
        self.wrong: list[str] = []
        self.context = browser.new_context(**{"viewport": WIDE, **more})
        self.context.route(lambda url: not self.is_home(url), self.refuse)
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.page.on("console", self.hear)
        self.page.on("pageerror", lambda error: self.note(f"error: {error}"))

    def is_home(self, url: str) -> bool:
        """Tell whether an address is the server's own."""
        return url.startswith((self.home, "data:", "blob:"))

    def refuse(self, route: object) -> None:
        """Note a request to elsewhere."""
        self.wrong.append(f"request: {route.request.url[:200]}")
        route.abort()

    def hear(self, said: ConsoleMessage) -> None:
        """Take in what the browser says."""
        if said.type == "error":
            self.note(f"{said.type}: {said.text} {said.location['url']}")

    def note(self, text: str) -> None:
        """Note what is wrong, if it is not known noise."""
        if not any(known in text for known in self.noise):
            self.wrong.append(text)

    def open(self, path: str = "") -> Page:
        """Open one of the server's pages."""
        self.page.goto(self.home + path)
        return self.page

    def keep(self, name: str, full: bool = False) -> None:
        """Keep a picture of what is seen."""
        self.page.screenshot(path=self.shots / f"{name}.png", full_page=full)

    def leave(self) -> None:
        """Close the pages; nothing may have been wrong."""
        self.context.close()
        assert self.wrong == []


@pytest.fixture(scope="session")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for pictures of the pages."""
    folder = Path(os.environ.get("EBM_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which `ebm run` has carried out one small experiment."""
    folder = tmp_path_factory.mktemp("small")
    copy_code(folder)
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    cut_down(content["experiments"][NAME])
    (folder / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_API")}
    told = {**clean, "PYTHONPATH": str(folder), "PREFECT_HOME": str(folder / ".prefect")}
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org"]
    commands = (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"])
    commands += (["git", "add", "-A"], [*git, "commit", "-qm", "A small project"])
    for command in (*commands, [sys.executable, "-c", f"{RUN}(['run', {NAME!r}])"]):
        subprocess.run(command, cwd=folder, env=told, check=True)
    return folder


@contextmanager
def serving(small: Path, *where: str) -> Iterator[dict[str, dashboard.Page]]:
    """Have the dashboards' pages of a project, by title; at another address and with a token."""
    pages = dashboard.pages(small, free_port(), free_port(), *where)
    logs = small / ".work" / "logs"
    running = {}
    try:
        for page in pages:
            running[page.title] = dashboard.start(page, logs)
        for page in pages:
            dashboard.wait_until_open(page, running, logs)
        yield {page.title: page for page in pages}
    finally:
        dashboard.end(running.values())


@pytest.fixture(scope="session")
def served(small: Path) -> Iterator[dict[str, dashboard.Page]]:
    """The pages as they are served to this machine."""
    with serving(small) as pages:
        yield pages


@pytest.fixture
def reader(browser: Browser, full: Paths, shots: Path) -> Iterator[Reader]:
    """A reader of the made-up project's report."""
    made = Reader(browser, render(NAME, full), shots)
    yield made
    for context in made.contexts:
        context.close()
    assert made.wrong == []
