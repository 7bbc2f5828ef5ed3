"""The dashboards where others can reach them: nothing without the token, all of the pages with it.

127.0.0.2 stands for another address; it is this machine's own, too.
"""

import base64
import http.client
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from flows.dashboard import Page
from tests.browser import test_mlflow_page, test_prefect_page
from tests.browser.conftest import NAME, Visitor, serving

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(1200),  # a whole run comes first
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux has 127.0.0.2 without asking"),
]

ELSEWHERE, KEY = "127.0.0.2", "a-token-for-these-tests"
PATHS = {
    "MLflow": ("/", "/health", "/static-files/index.html", "/api/2.0/mlflow/experiments/search")
    + ("/ajax-api/2.0/mlflow/experiments/search?max_results=5", "/get-artifact?path=a"),
    "Prefect": ("/", "/api/health", "/api/ready", "/ui-settings", "/docs", "/api/admin/settings"),
}


@pytest.fixture(scope="module")
def guarded(small: Path) -> Iterator[dict[str, Page]]:
    """The pages, with a token."""
    with serving(small, ELSEWHERE, KEY) as pages:
        yield pages


def answer(page: Page, path: str, token: str | None) -> int:
    """Return the status of an answer."""
    told = {}
    if token is not None:
        told["Authorization"] = "Basic " + base64.b64encode(f"me:{token}".encode()).decode()
    asked = http.client.HTTPConnection(page.host, page.port, timeout=30)
    asked.request("GET", path, headers=told)
    return asked.getresponse().status


@pytest.mark.parametrize("title", PATHS)
def test_no_address_answers_without_the_token(title: str, guarded: dict[str, Page]) -> None:
    for path in PATHS[title]:
        assert answer(guarded[title], path, None) == 401, path
        assert answer(guarded[title], path, KEY + "?") == 401, path
        assert answer(guarded[title], path, KEY) not in (401, 403), path
    assert answer(guarded[title], "/", KEY) == 200


def test_the_pages_are_whole_with_the_token(
    browser: Browser, guarded: dict[str, Page], shots: Path
) -> None:
    known = {"username": "me", "password": KEY}
    noise = (*test_mlflow_page.NOISE, *test_prefect_page.NOISE)
    for title, path in (("MLflow", ""), ("Prefect", "runs")):
        address = guarded[title].address
        home = f"http://{ELSEWHERE}:{guarded[title].port}/"
        made = Visitor(browser, home, shots, noise, http_credentials=known)
        made.page.goto(address + path)
        made.page.get_by_role("link", name=NAME, exact=True).first.wait_for()
        made.keep(f"token-{title.lower()}")
        made.leave()
