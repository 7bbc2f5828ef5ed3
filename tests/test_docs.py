"""The documents say what is so."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SLIDES = re.findall(r"^- `([\w/.]+)`: `(.+)`$", (ROOT / "docs/slides.md").read_text(), re.M)


def test_slides_name_lines() -> None:
    assert len(SLIDES) >= 12


@pytest.mark.parametrize(("file", "line"), SLIDES)
def test_each_line_of_the_slides_exists(file: str, line: str) -> None:
    lines = [text.strip() for text in (ROOT / file).read_text().splitlines()]
    assert line in lines, f"{file} has no line {line!r}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
