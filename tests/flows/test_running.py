"""`ebm run` shows, tracks and reports what the flow does; the flow itself is replaced here."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows import running
from flows.experiment import Outcome, Row
from flows.graph import Stage
from flows.running import Request, run_tracked
from tasks import report
from tasks.paths import Paths
from tasks.report import leaderboard
from tests.flows.conftest import JOINT
from tests.flows.conftest import TRAIN as TRAIN_JOINT

TRAIN = Stage("train@tiny-joint", "train", "tiny", "joint", (), (), (), "")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Replace the tracker and the report; what they are told is in the list."""
    heard: list[Any] = []

    class Ear:
        flow = "m-1"

        def __init__(self, paths: Paths, params: Any, title: str, command: str, say: Any) -> None:
            heard.append((title, command, params.experiments["tiny"].seed))

        def __enter__(self) -> "Ear":
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

        def close(self) -> None:
            heard.append("close")

        def stage_started(self, *stage: Any) -> None:
            heard.append(stage)

        def stage_ended(self, *how: Any) -> None:
            heard.append(how)

    def render(name: str, paths: Paths, flow: dict[str, Any]) -> Path:
        heard.append(flow)
        return paths.results(name) / "report.html"

    monkeypatch.setattr(running, "Tracker", Ear)
    monkeypatch.setattr(report, "render", render)
    yield heard


def flow_that(state: str, reason: str = "") -> Callable[..., Outcome]:
    """Return a flow of one stage that ends in this state."""

    def run(names: list[str], *_: Any, hooks: Any, **__: Any) -> Outcome:
        row = Row(TRAIN.address, state, 1.0, reason)
        if state != "UpToDate":
            hooks.start(TRAIN, "p-1")
            hooks.end(TRAIN, row)
        outcome = Outcome(names, [row], 1.0, "p-1" if state != "UpToDate" else None)
        hooks.after(outcome)
        return outcome

    return run


def run(
    project: Path, asked: Request, shown: list[Any] | None = None
) -> tuple[bool, list[str], list[str]]:
    said: list[str] = []
    complaints: list[str] = []
    show = [].append if shown is None else shown.append
    ok = run_tracked(Paths(project), asked, show, said.append, complaints.append)
    return ok, said, complaints


def leave_figures(project: Path) -> Path:
    """Leave figures and a report of an earlier run; return the page."""
    folder = project / "results" / "tiny"
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text('{"metrics": [{"metric": "m", "value": 1.5}]}')
    (folder / "run.json").write_text('{"command": "ebm run tiny"}')
    (folder / "report.html").touch()
    return folder / "report.html"


def test_a_run_is_tracked_and_then_reported_with_the_ids_of_both(
    project: Path, told: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "run_experiments", flow_that("Ran"))
    ok, said, _ = run(project, Request(["tiny"], changes=("seed=5",)))
    assert ok
    command = "ebm run tiny --set seed=5"
    assert told[:4] == [
        ("tiny", command, 5),
        (TRAIN.address, "train", "tiny", "joint", "p-1"),
        (TRAIN.address, "Ran"),
        "close",
    ]
    assert told[4] == {
        "command": command,
        "mlflow_parent": "m-1",
        "prefect_run": "p-1",
        "overrides": {"experiments.tiny.seed": 5},
    }
    assert said[-1] == f"Look first at {project / 'results' / 'tiny' / 'report.html'}"


def test_a_failed_stage_is_said_and_no_report_is_rendered(
    project: Path, told: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "run_experiments", flow_that("Failed", "the disk is full"))
    leave_figures(project)
    shown: list[Any] = []
    ok, said, complaints = run(project, Request(["tiny"], only="train"), shown)
    assert not ok
    assert [len(table.columns) for table in shown] == [4]  # the stages alone, not the figures
    assert complaints == [
        "train@tiny-joint failed: the disk is full. Earlier results are as they were."
    ]
    assert said == []
    assert told[-1] == "close"


def test_a_page_that_is_there_is_not_rendered_again_where_nothing_ran(
    project: Path, told: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "run_experiments", flow_that("UpToDate"))
    page = leave_figures(project)
    ok, said, _ = run(project, Request(["tiny"]))
    assert ok
    assert not any(isinstance(item, dict) for item in told)
    assert said == [f"Look first at {page}"]
    (page.parent / "run.json").write_text('{"figures": {"metrics.json": "of another run"}}')
    run(project, Request(["tiny"]))
    assert {"command": "ebm run tiny"}.items() <= told[-2].items()


def test_a_report_whose_stages_have_not_followed_is_left_as_it_was(
    project: Path, told: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "run_experiments", flow_that("Ran"))
    left = {"tiny": ["sample@tiny", "evaluate@tiny"]}
    monkeypatch.setattr(running, "left_behind", lambda *_: left)
    leave_figures(project)
    asked, shown = Request(["tiny"], only="train", changes=("seed=5",)), []
    ok, said, _ = run(project, asked, shown)
    assert ok
    assert not any(isinstance(item, dict) for item in told)
    assert [len(table.columns) for table in shown] == [4]
    assert said == [
        "the report of tiny is left as it was: sample@tiny, evaluate@tiny have not followed; "
        "run ebm run tiny"
    ]
    left.clear()
    ok, said, _ = run(project, asked)
    assert any(isinstance(item, dict) for item in told)
    assert said[0].startswith("Look first at")


def test_a_damaged_file_of_another_experiment_leaves_the_leaderboard_and_no_more(
    project: Path, told: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def render(*_: Any) -> Path:
        raise ValueError("results/other/metrics.json is not JSON")

    monkeypatch.setattr(running, "run_experiments", flow_that("Ran"))
    monkeypatch.setattr(leaderboard, "render", render)
    ok, _, complaints = run(project, Request(["tiny"]))
    assert ok and not complaints
    assert "index.html is left as it was: results/other/metrics.json is not JSON" in (
        capsys.readouterr().err
    )


def test_stages_left_behind_are_those_that_dvc_would_run_with_this_runs_settings(
    trained: Path,
) -> None:
    later = [f"{stage}@{JOINT}" for stage in ("sample", "evaluate", "classify", "apply")]
    assert running.left_behind(Paths(), [JOINT], {})[JOINT] == later
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["experiments"][JOINT]["train"]["joint"]["fit"]["updates"] = 13
    Path(".work").mkdir(exist_ok=True)
    Path(".work/params.yaml").write_text(yaml.safe_dump(content))
    left = running.left_behind(Paths(), [JOINT], {"changed": 1})
    assert left[JOINT] == [TRAIN_JOINT, *later]


def test_the_command_is_the_one_to_type_again() -> None:
    asked = Request(["a", "b"], "train", ("x=1 2",), True)
    assert asked.command == "ebm run a b --only train --set 'x=1 2' --force"
