"""Two sides beside each other: what was set, what came of it, and nothing from outside."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.artefacts import read_json, write_json
from tasks.inputs import inputs
from tasks.mlflow_store import Store
from tasks.paths import Paths
from tasks.report import render
from tasks.report.compare import binned, charts, compare, difference, lines
from tasks.report.sides import Side
from tasks.settings import read
from tests.tasks.conftest import METRIC, NAME, images, scores

OTHER = "multigrid-digits"
UPDATES = "train.joint.fit.updates"


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


def commit(paths: Paths) -> None:
    """Keep everything but the models and samples, as the project does."""
    if not (paths.root / ".git").exists():
        git(paths.root, "init", "-q", "-b", "main")
        (paths.root / ".gitignore").write_text("/data/\n/models/\n/samples/\n.work/\n")
    git(paths.root, "add", "-A")
    git(paths.root, "commit", "-qm", "Results as they were")


def edit(paths: Paths, **fit: Any) -> None:
    """Change settings of the training stage in params.yaml."""
    content = yaml.safe_load(paths.params.read_text())
    content["experiments"][NAME]["train"]["joint"]["fit"].update(fit)
    paths.params.write_text(yaml.safe_dump(content, sort_keys=False))


def both(paths: Paths, a: str, b: str) -> tuple[dict[str, Any], str]:
    told = compare(a, b, paths, paths.root / "page.html")
    return told, Path(told["page"]).read_text()


@pytest.fixture
def paths(paths: Paths) -> Paths:
    """The settings of two experiments, which are read in no time."""
    content = yaml.load(paths.params.read_text(), yaml.CSafeLoader)
    content["experiments"] = {name: content["experiments"][name] for name in (NAME, OTHER)}
    paths.params.write_text(yaml.safe_dump(content, sort_keys=False))
    return paths


@pytest.fixture
def two(full: Paths) -> Paths:
    """A project with results of two experiments, one of them with fewer pictures."""
    worse = {**METRIC, "value": 43.5, "spread": 1.0, "floor": 15.0}
    write_json(full.results(OTHER) / "metrics.json", scores(worse))
    shutil.copytree(full.results(NAME) / "samples", full.results(OTHER) / "samples")
    shutil.copytree(full.model(NAME, "joint"), full.model(OTHER, "grid-8"))
    return full


def test_settings_that_differ_and_figures_stand_side_by_side(two: Paths) -> None:
    told, page = both(two, NAME, OTHER)
    rows = {row["key"]: (row["a"], row["b"]) for row in told["settings"]}
    assert rows["final"] == ("joint", "grid-8") and "dataset" not in rows
    assert rows[UPDATES][1] is None and "about" not in rows
    [row] = [r for r in told["metrics"] if r["metric"] == "frechet_digits"]
    assert (row["a"]["value"], row["b"]["value"], row["difference"]) == (41.25, 43.5, 2.25)
    assert row["word"] == "worse" and row["floor"] == [14.5, 15.0] and row["goal"] == [30.75]
    [alone] = [r for r in told["metrics"] if r["metric"] == "inpaint_mse_half"]
    assert alone["b"] is None and alone["word"] == "measured on one side only"
    assert "14.5 / 15" in page and "<code>final</code>" in page


def test_page_has_curves_over_each_other_and_pictures_in_pairs(two: Paths) -> None:
    _, page = both(two, NAME, OTHER)
    assert '"name":"A","colour":2' in page and '"name":"B","colour":0' in page
    assert "<h3>grid 8</h3>" in page  # learned in one stage here, in a stage of its own there
    assert page.count('alt="Samples, A"') == page.count('alt="Samples, B"') == 3
    assert "B has none" in page


def test_page_is_one_file_without_anything_from_outside(two: Paths) -> None:
    _, page = both(two, NAME, OTHER)
    for target in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert target.startswith(("data:", "#")), target
    assert "<img src=x" not in page and "default-src 'none'" in page


def test_before_and_after_are_told_apart_by_revision(full: Paths) -> None:
    render(NAME, full, {"command": "ebm run"})
    commit(full)
    edit(full, updates=7)
    write_json(full.results(NAME) / "metrics.json", scores({**METRIC, "value": 20.0}))
    (full.results(NAME) / "samples" / "grid_2.png").unlink()
    render(NAME, full, {"command": "ebm run --set x"})
    told, page = both(full, f"{NAME}@main", NAME)
    before = read_json(full.results(NAME) / "run.json")["settings"]["train"]["joint"]["fit"]
    assert [(r["key"], r["b"]) for r in told["settings"]] == [(UPDATES, "7")]
    assert before["updates"] == 7 and told["settings"][0]["a"] != "7"
    [row] = [r for r in told["metrics"] if r["metric"] == "frechet_digits"]
    assert (row["a"]["value"], row["b"]["value"], row["word"]) == (41.25, 20.0, "better")
    assert "Results as they were" in told["a"]["notes"][0]
    assert any("curves of joint are not here" in note for note in told["a"]["notes"])
    assert page.count('alt="Samples, A"') == 3 and page.count('alt="Samples, B"') == 2


def test_curves_that_are_not_here_are_fetched_only_where_there_is_a_remote(
    full: Paths, monkeypatch: Any
) -> None:
    from dvc.repo import Repo

    monkeypatch.chdir(full.root)
    commit(full)
    (full.model(NAME, "joint") / "curves.csv").unlink()

    def notes() -> list[str]:
        told, _ = both(full, NAME, f"{NAME}@HEAD")
        return [n for side in "ab" for n in told[side]["notes"] if "not here" in n]

    assert notes() == [
        f"the curves of joint are not here: `ebm run {NAME}` brings them",
        f"the curves of joint are not here: `ebm run {NAME}` where that revision is checked out "
        "brings them",
    ]
    Repo.init(str(full.root)).close()
    assert not any("dvc" in note for note in notes())
    with (full.root / ".dvc" / "config").open("a") as file:
        file.write("['remote \"shelf\"']\n    url = ../shelf\n")
    here, there = notes()
    assert here.endswith(f"`dvc pull models/{NAME}/joint` or `ebm run {NAME}` brings them")
    assert "`dvc fetch --all-commits` brings them where a remote has them" in there


def test_a_device_that_run_json_lacks_is_no_other_device(full: Paths) -> None:
    render(NAME, full, {"command": "ebm run"})
    commit(full)
    place = full.results(NAME) / "run.json"
    write_json(place, {**read_json(place), "device": None})
    told, _ = both(full, NAME, f"{NAME}@HEAD")
    assert told["a"]["device"] == told["b"]["device"] == "cpu"
    assert not any("kinds of device" in note for note in told["notes"])


def test_curves_of_a_revision_come_from_the_cache(full: Paths, monkeypatch: Any) -> None:
    from dvc.repo import Repo

    monkeypatch.chdir(full.root)
    commit(full)
    out = str(full.model(NAME, "joint").relative_to(full.root))
    stages = {"train": {"cmd": "true", "outs": [out]}}
    (full.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    (full.root / "dvc.lock").unlink()
    with Repo.init(str(full.root)) as repo:
        repo.commit("train", force=True)
    commit(full)
    (full.model(NAME, "joint") / "curves.csv").write_text("step,8/gap\n1,9\n2,9\n")
    told, page = both(full, f"{NAME}@HEAD", NAME)
    assert not any("not here" in note for note in told["a"]["notes"])
    assert '"values":[0.5,null,0.7]' in page and '"values":[9.0,9.0,null]' in page


def test_settings_other_than_those_of_the_results_are_said(full: Paths) -> None:
    render(NAME, full, {"command": "ebm run"})
    commit(full)
    edit(full, updates=7)
    told, _ = both(full, f"{NAME}@HEAD", NAME)
    assert told["settings"] == []
    assert any(
        f"other settings than its results are of ({UPDATES})" in n for n in told["b"]["notes"]
    )


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (NAME[:-1], f"did you mean {NAME}"),
        (f"{NAME[:-1]}@main", f"main has no experiment .*did you mean {NAME}"),
        (f"{NAME}@mian", "git knows no revision 'mian'; did you mean main"),
        (f"{NAME}@--all", "git knows no revision '--all'"),
        (f"{NAME}@", "git knows no revision ''"),
        (OTHER, f"{OTHER} has no results yet; `ebm run {OTHER}` makes them"),
        (f"{OTHER}@main", "git has none of multigrid-digits at that revision"),
        ("0123abc", "there is no mlflow.db here"),
        (NAME, "both are"),
    ],
)
def test_a_wrong_side_is_one_sentence_and_no_page(full: Paths, word: str, said: str) -> None:
    commit(full)
    with pytest.raises(ValueError, match=said) as raised:
        compare(NAME, word, full, full.root / "page.html")
    assert "\n" not in str(raised.value)
    assert not (full.root / "page.html").exists()


def test_without_git_there_are_no_revisions(full: Paths) -> None:
    with pytest.raises(ValueError, match="no git repository with a commit"):
        compare(NAME, f"{NAME}@HEAD", full, full.root / "page.html")


@pytest.mark.parametrize(
    ("a", "b", "word"),
    [
        ((3, 0.3), (2, 0.4), "better"),
        ((2, 0.3), (3, 0.4), "worse"),
        ((3, 0.3), (3.4, 0.4), "no clear difference"),
        ((3, None), (2, 0.4), "better, spread not known"),
        ((3, None), (3, None), "the same"),
    ],
)
def test_a_difference_within_the_spreads_is_none(a: Any, b: Any, word: str) -> None:
    one, other = ({"value": v, "spread": s, "better": "lower"} for v, s in (a, b))
    assert difference(one, other)["word"] == word


def side(curves: dict[str, dict[str, list[float]]]) -> Side:
    return Side("x", "x", Path(), {}, curves, {}, {}, [])


def test_grids_learned_one_by_one_lie_over_those_learned_together() -> None:
    steps = {"step": [1.0]}
    apart = side({"grid-4": {**steps, "4/gap": [1.0]}, "grid-8": {**steps, "8/gap": [2.0]}})
    joint = side({"joint": {**steps, "4/gap": [3.0], "8/gap": [4.0]}})
    assert set(lines(apart)) == set(lines(joint)) == {("grid 4", "gap"), ("grid 8", "gap")}
    assert set(lines(side({"learn": {**steps, "gap": [1.0]}}))) == {("", "gap")}
    rounds = side({"round-1": {**steps, "gap": [1.0]}, "round-2": {**steps, "gap": [1.0]}})
    assert set(lines(rounds)) == {("round-1", "gap"), ("round-2", "gap")}


def test_a_shorter_curve_ends_and_both_have_one_axis() -> None:
    long, short = [float(k) for k in range(1, 1001)], [float(k) for k in range(1, 501)]
    drawn = charts({"gap": (long, long)}, {"gap": (short, short)})
    [panel] = drawn["panels"]
    a, b = panel["series"]
    assert drawn["steps"][-1] == 1000 and len(drawn["steps"]) == len(a["values"]) <= 240
    assert a["last"] == len(a["values"]) - 1 and b["values"][b["last"]] is not None
    assert set(b["values"][b["last"] + 1 :]) == {None}
    assert binned([1, 2], [float("nan"), 1.0], 1, 2) == [None, 1.0]


def test_runs_of_mlflow_are_compared_by_the_first_characters_of_their_ids(full: Paths) -> None:
    from tasks.pictures import sheet

    store, runs = Store(full.root), []
    for updates in (7, 9):
        edit(full, updates=updates)
        params = read(full.params)
        flow = store.open_run(NAME, {"ebm.command": f"ebm run {updates}"})
        for stage, part in (("train", "joint"), ("sample", None), ("evaluate", None)):
            title = f"{NAME} {stage}{f'-{part}' if part else ''}"
            run = store.open_run(title, {}, flow)
            store.params(run, inputs(params, stage, NAME, part).model_dump(mode="json"))
            store.figures(run, [{"step": k, "8/gap": updates * k} for k in (1, 2)])
            if stage == "sample":
                sheet(images(4, 1, 8, 8), full.root / "grid_8.png")
                store.artifact(run, full.root / "grid_8.png", "pictures")
            if stage == "evaluate":
                write_json(full.root / "metrics.json", scores({**METRIC, "value": updates}))
                store.artifact(run, full.root / "metrics.json", "metrics")
            store.close_run(run, "FINISHED")
        store.close_run(flow, "FINISHED")
        runs.append(flow)
    told, page = both(full, runs[0][:10], runs[1])
    assert [tuple(row.values()) for row in told["settings"]] == [(UPDATES, "7", "9")]
    assert [row["difference"] for row in told["metrics"]] == [2]
    assert told["b"]["command"] == "ebm run 9"
    assert '"values":[7.0,14.0]' in page and page.count('alt="Samples, B"') == 1
    told, _ = both(full, runs[1], NAME)
    assert {row["key"].split(".")[0] for row in told["settings"]}.isdisjoint({"train", "evaluate"})
    with pytest.raises(ValueError, match=f"no run of mlflow.db begins with 0{'1' * 9}.*latest are"):
        compare("0" + "1" * 9, NAME, full, full.root / "other.html")
