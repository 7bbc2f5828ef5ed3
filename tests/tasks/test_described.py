"""What a person reads of a run on the dashboards."""

from pathlib import Path

import pytest

from tasks import described
from tasks.artefacts import write_json
from tasks.paths import Paths
from tasks.settings import Params, read
from tests.conftest import ROOT

NAME, OTHER = "multigrid-digits", "multigrid-cifar10"


@pytest.fixture(scope="module")
def params() -> Params:
    """The project's settings."""
    return read(ROOT / "params.yaml")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Figures of an experiment, in two files."""
    made = Paths(tmp_path)
    figures = {"metrics.json": "nearest_training", "apply.json": "inpaint_mse_half"}
    for file, metric in figures.items():
        row = {"metric": metric, "value": 0.25, "spread": 0.5, "floor": None, "ceiling": 1.0}
        write_json(made.results(NAME) / file, {"metrics": [row]})
    return made


def test_a_flow_says_its_command_experiments_and_figures(paths: Paths, params: Params) -> None:
    text = described.flow(paths, params, [NAME, OTHER], "ebm run both", [NAME])
    assert text.startswith("`ebm run both`")
    for name in (NAME, OTHER):
        assert f"### {name}\n\n{params.experiments[name].about}." in text
    assert "S10 on digits, multigrid, cpu" in text
    goal = params.experiments[NAME].goals["nearest_training"].goal
    assert f"| nearest_training | 0.25 ± 0.5 |  | 1 |  | {goal} |" in text
    assert "| inpaint_mse_half | 0.25 ± 0.5 |  | 1 |  |  |" in text
    assert "measured" not in text


def test_figures_of_another_flow_are_not_shown(paths: Paths, params: Params) -> None:
    assert "nearest_training" not in described.flow(paths, params, [NAME], "ebm run")


def test_a_long_description_ends_at_a_line_and_says_where_more_is(
    paths: Paths, params: Params
) -> None:
    text = described.flow(paths, params, params.experiments, "ebm suite all", params.experiments)
    assert len(text) < 8000  # MLflow's limit of a tag
    assert text.endswith("\n\nMore: `ebm results`.")


def test_tags_are_few_and_of_data_there_is_its_name_alone(params: Params) -> None:
    found = described.tags(params, NAME)
    assert list(found) == ["experiment", "system", "dataset", "learner", "device"]
    assert described.tags(params, "digits") == {"dataset": "digits"}
    assert described.together([found, described.tags(params, OTHER)])["system"] == "S10"
