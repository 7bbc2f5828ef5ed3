import json
from pathlib import Path

import pytest

from tasks.scores import beside, row, write_scores

REST = {"floor": None, "ceiling": 1 / 3, "better": "lower", "samples": 9, "about": "A test."}


def test_a_row_holds_mean_and_deviation_to_six_digits() -> None:
    made = row("error", [1.0, 2.0, 4.0], **REST)
    assert (made["value"], made["spread"], made["seeds"]) == (2.33333, 1.52753, 3)
    assert made["ceiling"] == 0.333333 and made["floor"] is None


def test_a_single_value_has_no_spread() -> None:
    assert row("error", [5.0], **REST)["spread"] is None


def test_a_figure_that_is_not_finite_is_refused_and_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_scores(path, "trial", "None.", [], [beside("error", "noise", [1.0, 2.0])])
    before = path.read_text()
    with pytest.raises(ValueError):
        write_scores(path, "trial", "None.", [row("error", [float("nan")], **REST)], [])
    assert path.read_text() == before
    assert json.loads(before)["compared"] == [{"metric": "error", "of": "noise", "value": 1.5}]
