"""The leaderboard: every figure with its goal, one file, nothing from outside."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from tasks.artefacts import write_json
from tasks.paths import Paths
from tasks.report import leaderboard
from tasks.report.systems import SYSTEMS
from tasks.scores import beside, row
from tasks.settings import read

ROOT = Path(__file__).parents[2]
NAME, OTHER = "multigrid-digits", "multigrid-cifar10"
RUN = {"command": 'ebm run multigrid-digits --set "seed=2"'}
RECORD = {"stage": "sample", "device": "gpu", "settings": {"device": "gpu"}}


@pytest.fixture
def page(tmp_path: Path) -> str:
    """The page of a folder where one experiment has results and another has none."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["experiments"] = {name: params["experiments"][name] for name in (NAME, OTHER)}
    goals = {"error": {"seed_figure": 0.5, "goal": 0.3}, "score": {"seed_figure": None, "goal": 9}}
    params["experiments"][NAME]["goals"] = goals
    params["experiments"][NAME]["about"] = "<b>Digits</b> & more"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    paths = Paths(tmp_path)
    folder = paths.results(NAME)
    made = [
        row(metric, [value, value], floor=0, ceiling=10, better=better, samples=3, about="what")
        for metric, value, better in [("error", 0.25, "lower"), ("score", 8.0, "higher")]
    ]
    unasked = row("other", [1.0], floor=None, ceiling=None, better="lower", samples=3, about="x")
    write_json(
        folder / "metrics.json",
        {"metrics": [*made, unasked], "compared": [beside("error", "noise", 2.0)]},
    )
    write_json(folder / "run.json", {**RUN, "device": "cpu", "seconds": 90, "commit": "abc"})
    (folder / "samples").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "samples" / "grid_8.png")
    return leaderboard.render(paths, read(paths.params)).read_text()


def test_figures_with_a_goal_stand_beside_it_and_lead_to_the_report(page: str) -> None:
    assert page.count(f'href="{NAME}/report.html"') == 3  # two figures and a picture
    assert "met</strong> 0.3" in page and "missed</strong> 9" in page
    assert "<code>other</code>" not in page and 'data-sort="0.25"' in page


def test_what_has_not_been_run_says_why(page: str) -> None:
    assert f"<code>ebm run {OTHER}</code> (S10): it needs a GPU." in page


def test_systems_are_counted_of_all_and_those_without_an_experiment_are_listed(page: str) -> None:
    assert list(SYSTEMS) == [f"S{number:02}" for number in range(1, 43)]
    assert "1 of 42 systems have results, 1 experiments" in page
    assert page.count(": no experiment yet.</li>") == 41
    assert f"<li>S13 ({SYSTEMS['S13']}): no experiment yet.</li>" in page
    assert "<li>S10 (" not in page
    assert "<strong>1</strong> of 2 experiments run" in page


def test_each_line_and_card_has_its_command_and_a_recorded_one_that_differs(page: str) -> None:
    assert page.count(f">ebm run {NAME}</code>") == 3  # two figures and a picture
    assert page.count('title="the results are of: ebm run multigrid-digits --set &#34;seed=2') == 3
    assert leaderboard.command(NAME, {"command": f"ebm run {NAME}"})["recorded"] is None
    assert leaderboard.command(NAME, {})["recorded"] is None


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ([RECORD], "gpu"),
        ([RECORD, {**RECORD, "stage": "train", "device": "cpu"}, {"stage": "apply"}], "cpu"),
        ([{**RECORD, "settings": {"threads": 1}}], None),  # evaluate's: the CPU in any case
        ([{**RECORD, "device": None}], None),
        ([], None),
    ],
)
def test_a_device_that_is_not_known_is_taken_from_a_record_that_says_it(
    tmp_path: Path, stages: list[dict[str, Any]], said: str | None
) -> None:
    paths, experiment = Paths(tmp_path), read(ROOT / "params.yaml").experiments[NAME]
    write_json(paths.results(NAME) / "run.json", {"device": None, "stages": stages})
    made = row("error", [1.0], floor=0, ceiling=1, better="lower", samples=3, about="what")
    write_json(paths.results(NAME) / "metrics.json", {"metrics": [made]})
    assert [line["device"] for line in leaderboard.rows(paths, NAME, experiment)] == [said]


def test_page_is_one_file_without_anything_from_outside(page: str) -> None:
    assert "&lt;b&gt;Digits&lt;/b&gt; &amp; more" in page and "<b>Digits" not in page
    for target in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert target.startswith(("data:", "#", NAME)), target
    assert "default-src 'none'" in page


def test_a_project_without_results_has_a_page_all_the_same(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (tmp_path / "results").mkdir()
    assert "0 experiments" in leaderboard.render(paths, read(paths.params)).read_text()
