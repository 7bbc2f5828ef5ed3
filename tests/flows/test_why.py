"""`ebm why` names the setting or the file; `ebm show` the stages in the order of work."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.why import Standing, standings
from tasks.paths import Paths

GRAPH = """\
stages:
  prepare@d:
    cmd: python -m tasks prepare d
    outs: [data]
  train@a-x:
    cmd: python -m tasks train a x
    deps: [data]
    params: [experiments.a.train, {fit.py: [REVISION]}]
    outs: [model]
  sample@a:
    cmd: python -m tasks sample a
    deps: [model]
    outs: [samples]
  train@other-x:
    cmd: python -m tasks train other x
    deps: [data]
    outs: [other]
"""
PARAMS = "experiments: {a: {train: {fit: {updates: 600, batch: 10}}}}\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make a project whose stages are all up to date, but train@other-x, which never ran."""
    from dvc.repo import Repo

    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").write_text(GRAPH.replace("@", "-"))
    Path("params.yaml").write_text(PARAMS)
    Path("fit.py").write_text("REVISION = 1\n")
    for name in ("data", "model", "samples"):
        Path(name).write_text(name)
    with Repo.init(str(tmp_path), no_scm=True) as repo:
        for stage in ("prepare-d", "train-a-x", "sample-a"):
            repo.commit(stage, force=True)
    yield tmp_path


def by_name(project: Path) -> dict[str, Standing]:
    return {stage.address: stage for stage in standings(Paths(project), "a")}


def test_the_stages_are_the_experiments_and_those_below_in_the_order_of_work(
    project: Path,
) -> None:
    found = by_name(project)
    assert list(found) == ["prepare-d", "train-a-x", "sample-a"]
    assert found["train-a-x"].over == ["prepare-d"]
    assert not any(stage.reasons or stage.follows for stage in found.values())


def test_a_changed_setting_is_named_with_its_values_and_what_follows(project: Path) -> None:
    (project / "params.yaml").write_text(PARAMS.replace("600", "300"))
    found = by_name(project)
    assert found["train-a-x"].reasons == ["experiments.a.train.fit.updates: 600 -> 300"]
    assert found["sample-a"].reasons == []
    assert found["sample-a"].follows == ["train-a-x"]
    assert found["prepare-d"].reasons == []


def test_a_changed_file_and_a_changed_revision_are_named(project: Path) -> None:
    (project / "data").write_text("other")
    (project / "fit.py").write_text("REVISION = 2\n")
    reasons = by_name(project)["train-a-x"].reasons
    assert "data is modified" in reasons
    assert "fit.py: REVISION changed (it was 1)" in reasons


def test_a_stage_that_never_ran_says_so(project: Path) -> None:
    [*_, last] = standings(Paths(project), "other")
    assert (last.address, last.reasons) == ("train-other-x", ["it has never run"])
