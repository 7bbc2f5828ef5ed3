"""What a person must see of the leaderboard, drawn from the project's own results."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tasks.paths import Paths
from tasks.report import leaderboard
from tasks.settings import Params, read
from tests.browser.conftest import PHONE, ROOT, WIDE, Visitor

pytestmark = pytest.mark.browser

LOADED = "(images) => images.every((i) => i.complete && i.naturalWidth > 0)"
VALUES = "(cells) => cells.map((c) => Number.parseFloat(c.dataset.sort))"


@pytest.fixture(scope="module")
def params() -> Params:
    """The project's settings."""
    return read(ROOT / "params.yaml")


@pytest.fixture(scope="module")
def page_file(params: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, drawn in a folder that sees the project's results."""
    folder = tmp_path_factory.mktemp("board")
    (folder / "results").mkdir()
    for place in (ROOT / "results").iterdir():
        if place.is_dir():
            (folder / "results" / place.name).symlink_to(place)
    return leaderboard.render(Paths(folder), params)


@pytest.fixture(params=["wide", "phone"])
def visitor(
    request: pytest.FixtureRequest, browser: Browser, page_file: Path, shots: Path
) -> Iterator[Visitor]:
    """A visitor of the page, on a desk or on a phone."""
    made = Visitor(
        browser, page_file.as_uri(), shots, viewport=WIDE if request.param == "wide" else PHONE
    )
    made.open()
    made.keep(f"leaderboard-{request.param}")
    yield made
    made.leave()


def test_every_experiment_is_shown_or_said_why_not(visitor: Visitor, params: Params) -> None:
    page = visitor.page
    shown = set(page.locator(".board tbody td:nth-child(2) a").all_inner_texts())
    drawn = set(page.locator(".gallery strong").all_inner_texts())
    absent = page.locator("#absent li").all_inner_texts()
    for name in params.experiments:
        why = [text for text in absent if text.startswith(f"ebm run {name} (")]
        assert name in shown | drawn or (why and why[0].endswith(".")), name
    assert len(shown) > 20


def test_a_click_on_a_column_sorts_by_it(visitor: Visitor) -> None:
    page = visitor.page
    button = page.locator("thead button", has_text="value")  # its name gets an arrow
    for direction in ("ascending", "descending"):
        button.click()
        values = page.locator(".board tbody td:nth-child(4)").evaluate_all(VALUES)
        assert values == sorted(values, reverse=direction == "descending")
        head = page.locator(f"thead th[aria-sort={direction}]")
        assert head.inner_text().startswith("value") and head.count() == 1
    page.locator("thead button", has_text="experiment").click()
    names = page.locator(".board tbody td:nth-child(2) a").all_inner_texts()
    assert names == sorted(names)


def test_words_choose_the_lines_that_are_shown(visitor: Visitor) -> None:
    page = visitor.page
    every = page.locator(".board tbody tr").count()
    page.locator("#filter").fill("S10 faces")
    lines = page.locator(".board tbody tr:visible")
    assert 0 < lines.count() < every
    assert all("multigrid-faces" in line for line in lines.all_inner_texts())
    assert page.locator("#count").inner_text() == f"{lines.count()} of {every} lines"


def test_links_lead_to_reports_that_are_there(visitor: Visitor, page_file: Path) -> None:
    links = visitor.page.locator("main a").evaluate_all("(a) => a.map((e) => e.href)")
    targets = {link for link in links if "#" not in link}
    assert len(targets) > 20
    for target in targets:
        name = target.removesuffix("/report.html").rpartition("/")[2]
        assert target == (page_file.parent / name / "report.html").as_uri()
        assert (page_file.parent / name / "report.html").is_file(), f"{name} has no report"


def test_pictures_of_the_gallery_load_and_nothing_is_too_wide(visitor: Visitor) -> None:
    page = visitor.page
    pictures = page.locator(".gallery img")
    assert pictures.count() > 20
    pictures.evaluate_all("(images) => images.forEach((i) => { i.loading = 'eager'; })")
    page.wait_for_function(f"({LOADED})([...document.querySelectorAll('.gallery img')])")
    assert pictures.evaluate_all("(images) => images.every((i) => i.alt)")
    room = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= room
    page.locator("#gallery").scroll_into_view_if_needed()
    visitor.keep(f"gallery-{room}")
