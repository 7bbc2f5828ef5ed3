"""The drawing in the documents is the graph."""

from pathlib import Path

import pytest

from flows.diagram import PAGE, SHOWN, mermaid, redraw
from flows.graph import all_stages, open_repo, stages_of
from tasks.paths import Paths

ROOT = Path(__file__).parents[2]


def test_drawing_in_the_page_is_that_of_the_graph() -> None:
    with open_repo(Paths(ROOT)) as repo:
        drawing = mermaid(stages_of(all_stages(repo), [SHOWN]))
    page = (ROOT / PAGE).read_text()
    assert redraw(page, drawing) == page, "run python -m flows.diagram"


def test_page_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="has no lines"):
        redraw("# a page", "a drawing")
