"""A suite chooses by word, goes on when one fails, and says what became of each."""

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows import engines, suite
from flows.choice import choose, groups
from flows.experiment import Manner, Outcome, Row, run_experiments
from flows.room import Need, Room, need_of
from flows.running import Finished
from flows.suite import Asked, Fate, fates, run_suite
from tasks import settings
from tasks.paths import Paths
from tasks.refusals import SettingsError
from tests.conftest import ROOT, cut_down
from tests.flows.conftest import GRID, JOINT, TRAIN, edit, outputs, set_param

NOTHING_LEFT = "leaves nothing to run .*it needs a GPU"


@pytest.fixture(scope="module")
def real() -> tuple[Paths, Any]:
    """The project's own settings and results."""
    return Paths(ROOT), settings.read(ROOT / "params.yaml")


@pytest.fixture
def all_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all data be where they are looked for."""
    monkeypatch.setattr("flows.choice.nowhere", lambda *_: "")


@pytest.mark.usefixtures("all_data")
def test_a_word_is_a_name_a_system_a_data_set_a_kind_or_a_tag(real: tuple[Paths, Any]) -> None:
    def names(*words: str) -> set[str]:
        return set(choose(*real, words, lambda: True).names)

    every = real[1].experiments
    assert names(JOINT) == {JOINT}
    assert names("S10") == {name for name, each in every.items() if "S10" in each.systems} - {
        "multigrid-folder"
    }
    assert names("digits") == {JOINT, GRID}
    assert names("points") == {name for name in every if name.startswith("contrast-2d")}
    assert names("eth_ucy") < names("trajectories")
    assert names("recovery", JOINT) == {"recovery-mnist", "recovery-cifar10", JOINT}
    assert names("cpu") | names("gpu") == names("all")
    assert {each.device for each in map(every.get, names("gpu"))} == {"gpu"}
    assert names("fast") <= names("all")
    assert JOINT in names("fast")
    assert not set(groups(*real)) & set(every)


def test_an_unknown_word_is_refused_with_the_nearest(real: tuple[Paths, Any]) -> None:
    for word, near in {"S01x": "S01", "mnits": "mnist", "poinst": "points", "fats": "fast"}.items():
        with pytest.raises(SettingsError, match=f"{word!r}; did you mean {near}"):
            choose(*real, [word], lambda: True)


def test_what_this_machine_cannot_run_is_left_out_and_said(real: tuple[Paths, Any]) -> None:
    choice = choose(*real, ["S11", "folder"], lambda: False)
    assert choice.names == ["recovery-mnist"]
    assert set(choice.left_out) == {"recovery-cifar10", "multigrid-folder"}
    assert "no" in choice.left_out["recovery-cifar10"]
    assert "your own pictures" in choice.left_out["multigrid-folder"]
    assert choose(*real, ["multigrid-folder"], lambda: False).names == ["multigrid-folder"]
    with pytest.raises(SettingsError, match=NOTHING_LEFT):
        choose(*real, ["gpu"], lambda: False)


def test_what_has_no_data_here_is_left_out_unless_it_is_named(
    real: tuple[Paths, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, params = Paths(tmp_path), real[1]
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.delenv("EBM_DATA", raising=False)
    choice = choose(paths, params, ["S38"], lambda: True)
    assert choice.names == ["molecules-moses"], "a package has its data"
    assert choice.left_out["molecules-zinc"].endswith("the folder zinc250k under EBM_DATA")
    assert "molecules-zinc" in choose(paths, params, ["molecules-zinc"], lambda: True).names
    raw = tmp_path / params.datasets[params.experiments["molecules-zinc"].dataset].raw
    raw.mkdir(parents=True)
    assert choose(paths, params, ["S38"], lambda: True).left_out == {}


def test_stages_take_the_cores_and_gpus_that_they_compute_with(real: tuple[Paths, Any]) -> None:
    room = Room(4, ["0", "1"], 9)
    assert room.take("a", Need(2, 1))
    assert room.take("b", Need(1, 1))
    assert (room.gpus_of("a"), room.gpus_of("b")) == ("0", "1")
    assert not room.take("c", Need(1, 1))  # a core is free, and no GPU
    assert not room.take("d", Need(2))
    assert room.take("e", Need(1))
    room.leave("a")
    assert room.take("c", Need(2, 1))
    assert room.gpus_of("c") == "0"
    assert not Room(1, [], 1).taken
    small = Room(1, [], 2)
    assert small.take("more than there is", Need(8, 2))
    assert not small.take("another", Need(1))


def test_no_more_stages_at_once_than_were_asked_for() -> None:
    room = Room(8, [], 2)
    assert [room.take(name, Need(1)) for name in "abc"] == [True, True, False]


def test_a_stage_of_several_processes_needs_their_cores_and_gpus(real: tuple[Paths, Any]) -> None:
    from flows.graph import Stage

    params = real[1]
    stage = Stage("train@x", "train", "recovery-cifar10", "learn", (), (), (), "")
    threads = params.experiments["recovery-cifar10"].threads
    assert need_of(params, stage) == Need(threads, 1)
    assert need_of(params, stage._replace(verb="evaluate", part=None)) == Need(threads, 0)
    assert need_of(params, stage._replace(verb="prepare", name="cifar10")) == Need(1, 0)


def finished(rows: list[Row], needs: dict[str, list[str]], **more: Any) -> Finished:
    outcome = Outcome(list(needs), rows, 9.0, None, needs)
    return Finished(outcome, {}, {}, more.get("faults", {}))


def test_each_experiment_has_its_own_fate() -> None:
    rows = [
        Row("fetch@gone", "Failed", 1.0, "no address answers"),
        Row("prepare@there", "Ran", 1.0, ""),
        Row("train@a", "Ran", 3.0, ""),
        Row("train@b", "Failed", 2.0, "diverged"),
        Row("sample@b", "Stopped", 0.0, "train@b failed"),
        Row("train@c", "Stopped", 0.0, "fetch@gone failed"),
        Row("train@d", "UpToDate", 0.0, ""),
        Row("train@e", "Restored", 1.0, ""),
    ]
    needs = {
        "a": ["prepare@there", "train@a"],
        "b": ["prepare@there", "train@b", "sample@b"],
        "c": ["fetch@gone", "train@c"],
        "d": ["prepare@there", "train@d"],
        "e": ["train@e"],
    }
    choice = suite.Choice(list(needs), {"g": "it needs a GPU"})
    found = fates(finished(rows, needs, faults={"e": "no picture"}), choice)
    assert found == [
        Fate("a", "ran", "", "1 of 1", 3.0),
        Fate("b", "failed", "train@b: diverged", "0 of 2", 2.0),
        Fate("c", "not reached", "fetch@gone: no address answers", "0 of 1", 0.0),
        Fate("d", "up to date", "", "0 of 1", 0.0),
        Fate("e", "failed", "its report: no picture", "1 of 1", 1.0),
        Fate("g", "left out", "it needs a GPU"),
    ]
    shown = suite.table(found, finished(rows, needs).outcome)
    assert shown.title == "1 ran, 2 failed, 1 not reached, 1 up to date, 1 left out"
    assert list(shown.columns[0].cells)[-3:] == ["b", "c", "e"]  # what went wrong stands last


def test_the_command_is_the_one_to_type_again() -> None:
    asked = Asked(["S10", "points"], 2, "dask", ("seed=3",))
    assert asked.command == "ebm suite S10 points --workers 2 --engine dask --set seed=3"


def test_an_engine_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="--engine is 'daks'; did you mean dask"):
        engines.check("daks")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"needs prefect-dask.*pip install -e '.\[dask\]'"):
        engines.check("dask")


def test_what_fails_or_is_refused_stops_only_what_stands_on_it(trained: Path) -> None:
    before = outputs(trained)
    set_param(trained, f"experiments.{JOINT}.train.joint.fit.updates", 13)
    set_param(trained, f"experiments.{GRID}.train.grid-2.fit.updates", 13)
    manner = Manner("suite of two", go_on=True)
    edit(
        Path("tasks/train.py"),
        lambda text: text.replace(
            "    job = Job(name, part, inputs, paths, scratch, monitor)\n",
            "    job = Job(name, part, inputs, paths, scratch, monitor)\n"
            "    if part == 'grid-2': raise ValueError('no luck')\n",
        ),
    )
    names = [GRID, JOINT, "trajectory-eth"]
    outcome = run_experiments(names, "train", manner=manner)
    rows = {row.address: row for row in outcome.rows}
    assert rows[TRAIN].state == "Ran"
    assert rows[f"train@{GRID}-grid-2"].reason == f"train {GRID} grid-2: no luck"
    assert [rows[f"train@{GRID}-grid-{k}"].state for k in (4, 8)] == ["Stopped"] * 2
    assert rows[f"train@{GRID}-grid-8"].reason == f"train@{GRID}-grid-2 failed"
    refused = rows["train-trajectories@trajectory-eth-learn"]
    assert refused.state == "Failed"
    assert "which is missing" in refused.reason
    assert [outcome.of(name).ok for name in names] == [False, True, False]
    assert outputs(trained)[TRAIN] != before[TRAIN]


needs_dask = pytest.mark.skipif(
    importlib.util.find_spec("prefect_dask") is None,
    reason="prefect-dask is not installed: the extra dask of pyproject.toml",
)


@needs_dask
def test_two_processes_of_a_dask_cluster_give_the_bytes_of_this_one(
    pipeline: Path, repro_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    monkeypatch.setattr(engines, "cores", lambda: 2)
    job = "    job = Job(name, part, inputs, paths, scratch, monitor)\n"
    tell = (
        "    import psutil\n"
        "    for p in psutil.Process().parents(): print('above', p.pid, p.cmdline())\n"
    )
    edit(Path("tasks/train.py"), lambda text: text.replace(job, job + tell))
    manner = Manner("on dask", True, 2, "dask")
    outcome = run_experiments([JOINT, GRID], "train", manner=manner)
    assert [row.state for row in outcome.rows] == ["Ran"] * 4, outcome.rows
    mine, theirs = outputs(pipeline), outputs(repro_template)
    trained = [address for address in mine if address.startswith("train@")]
    assert [mine[address] for address in trained] == [theirs[address] for address in trained]
    workers = set()
    for log in Path(".work/logs").glob("*/train-*.log"):
        above = [line for line in log.read_text().splitlines() if line.startswith("above")]
        workers |= {line.split()[1] for line in above if "spawn_main" in line}
    assert len(workers) == 2


@pytest.mark.slow
def test_a_suite_reports_what_went_well_and_ends_with_the_leaderboard(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = yaml.safe_load(Path("params.yaml").read_text())
    for name in (JOINT, GRID):
        cut_down(content["experiments"][name])
    Path("params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    edit(
        Path("tasks/train.py"),
        lambda text: text.replace(
            "    job = Job(name, part, inputs, paths, scratch, monitor)\n",
            "    job = Job(name, part, inputs, paths, scratch, monitor)\n"
            "    if part == 'grid-4': raise ValueError('no luck')\n",
        ),
    )
    shown: list[Any] = []
    said: list[str] = []
    complaints: list[str] = []

    def run() -> bool:
        for heard in (shown, said, complaints):
            heard.clear()
        asked = Asked(["digits", "recovery-cifar10"])
        return run_suite(Paths(), asked, shown.append, said.append, complaints.append)

    monkeypatch.setattr(suite, "gpus", lambda: [])
    assert not run()
    assert complaints[0].startswith("recovery-cifar10 is left out: it needs a GPU")
    assert complaints[1] == f"{GRID} failed: train@{GRID}-grid-4: train {GRID} grid-4: no luck"
    assert shown[0].title == "1 failed, 1 ran, 1 left out"
    assert Paths().results(JOINT).joinpath("report.html").is_file()
    assert not Paths().results(GRID).joinpath("report.html").exists()
    page = Path("results/index.html")
    assert JOINT in page.read_text()
    assert said == [f"Look first at {page.resolve()}"]
