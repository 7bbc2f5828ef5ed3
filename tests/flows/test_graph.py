"""The flow's graph is DVC's, and what would run is said with its reasons."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from flows import locks
from flows.graph import Stage, all_stages, leaves, open_repo, stages_of, status, would_run
from tasks.paths import Paths
from tests.flows.conftest import GRID, JOINT, TRAIN, edit, set_param


def changes(names: list[str]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return what changed by itself and what would run."""
    with open_repo(Paths()) as repo:
        asked = stages_of(all_stages(repo), names, "train") + stages_of(
            all_stages(repo), names, "prepare"
        )
        changed = status(repo, Paths(), asked)
    order = sorted(asked, key=lambda stage: stage.verb != "prepare")
    return changed, would_run(order, changed)


def test_the_graph_is_that_of_dvc(pipeline: Path) -> None:
    from dvc.repo import Repo

    with open_repo(Paths()) as repo:
        ours = all_stages(repo)
    with Repo() as repo:
        graph = repo.index.graph
        nodes = {stage.addressing for stage in graph}
        edges = {(a.addressing, b.addressing) for a, b in graph.edges}
    assert set(ours) == nodes
    assert {(s.address, up) for s in ours.values() for up in s.upstream} == edges
    order = list(ours)
    assert all(order.index(up) < order.index(s.address) for s in ours.values() for up in s.upstream)


def test_waiting_for_another_command_of_dvc_is_said(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(locks, "PATIENCE", 0.2)
    code = "from dvc.repo import Repo\nwith Repo().lock: print('held', flush=True); input()"
    piped = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], **piped) as other:
        assert other.stdout.readline() == b"held\n"
        threading.Timer(2.0, other.stdin.close).start()
        with open_repo(Paths()) as repo, repo.lock:
            pass
    assert f"DVC is in use by process {other.pid}" in capfd.readouterr().err


def test_what_dvc_add_keeps_is_no_stage(pipeline: Path) -> None:
    mark = "d41d8cd98f00b204e9800998ecf8427e.dir"
    Path("pictures.dvc").write_text(f"outs:\n- md5: {mark}\n  path: pictures\n")
    with open_repo(Paths()) as repo:
        every = all_stages(repo)
    assert "pictures.dvc" not in every and every["prepare@folder"].upstream == ()
    assert "prepare@folder" in {s.address for s in stages_of(every, ["multigrid-folder"])}


def test_an_experiment_has_its_stages_and_what_they_stand_on_and_no_other(pipeline: Path) -> None:
    with open_repo(Paths()) as repo:
        every = all_stages(repo)
    found = {stage.address for stage in stages_of(every, [JOINT])}
    assert {"fetch@digits", "prepare@digits", TRAIN, f"sample@{JOINT}"} <= found
    assert f"sample@{GRID}" in every and not any(f"{GRID}-grid" in a for a in found)
    assert f"sample@{GRID}" not in found
    assert [s.address for s in stages_of(every, [JOINT], "train")] == [TRAIN]
    assert [s.address for s in stages_of(every, [GRID], "train-grid-4")] == [f"train@{GRID}-grid-4"]


def test_a_wrong_stage_or_experiment_is_named_with_the_nearest(pipeline: Path) -> None:
    with open_repo(Paths()) as repo:
        every = all_stages(repo)
    with pytest.raises(ValueError, match="no stage 'trian' here; did you mean train"):
        stages_of(every, [JOINT], "trian")
    with pytest.raises(ValueError, match="dvc.yaml has no stage of nothing"):
        stages_of(every, ["nothing"])


def test_what_is_trained_is_up_to_date(trained: Path) -> None:
    assert changes([JOINT, GRID]) == ({}, {})


def test_a_changed_setting_is_named_with_both_values_and_reruns_its_stage_and_those_after(
    trained: Path,
) -> None:
    set_param(trained, f"experiments.{GRID}.train.grid-4.fit.updates", 13)
    changed, runs = changes([JOINT, GRID])
    key = f"experiments.{GRID}.train.grid-4.fit.updates"
    assert changed == {f"train@{GRID}-grid-4": [f"setting `{key}`: 12 -> 13"]}
    assert list(runs) == [f"train@{GRID}-grid-4", f"train@{GRID}-grid-8"]
    assert runs[f"train@{GRID}-grid-8"] == [f"follows train@{GRID}-grid-4"]


def test_a_docstring_reruns_nothing_and_a_revision_does(trained: Path) -> None:
    learner = trained / "ebm" / "learn" / "multigrid.py"
    edit(learner, lambda text: text.replace('"""', '"""New words: ', 1))
    assert changes([JOINT, GRID]) == ({}, {})
    edit(learner, lambda text: text.replace("\nREVISION = ", "\nREVISION = 9", 1))
    changed, _ = changes([JOINT, GRID])
    assert set(changed) == {TRAIN} | {f"train@{GRID}-grid-{size}" for size in (2, 4, 8)}
    assert all("ebm/learn/multigrid.py: its REVISION changed" in r[0] for r in changed.values())


def test_missing_and_altered_outputs_are_named(trained: Path) -> None:
    path = trained / "models" / JOINT / "joint" / "curves.csv"
    path.write_text("altered")
    changed, _ = changes([JOINT])
    assert changed[TRAIN] == [f"its output models/{JOINT}/joint was changed by hand"]
    (trained / "models").rename(trained / "elsewhere")
    changed, _ = changes([JOINT])
    assert changed[TRAIN] == [f"its output models/{JOINT}/joint is missing"]


def test_what_has_been_read_of_the_graph_is_not_read_again(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dvc.utils import strictyaml

    loaded: list[str] = []
    load = strictyaml.load

    def noted(path: str, *words: Any, **options: Any) -> Any:
        loaded.append(Path(path).name)
        return load(path, *words, **options)

    monkeypatch.setattr(strictyaml, "load", noted)
    with open_repo(Paths()) as repo:
        every = all_stages(repo)
        before = list(loaded)
        assert len(status(repo, Paths(), stages_of(every, [JOINT, GRID]))) > 4
    assert sorted(before) == sorted(loaded) == ["dvc.lock", "dvc.yaml"]


def test_never_run_is_said(pipeline: Path) -> None:
    changed, _ = changes([JOINT])
    assert changed[TRAIN] == ["it has never run"]


def test_what_follows_a_change_is_tried_within_what_was_asked_for() -> None:
    a, b, c = (
        Stage(n, "train", "x", n, up, (), (), "") for n, up in (("a", ()), ("b", "a"), ("c", "b"))
    )
    assert would_run([a, b, c], {"a": ["new"]}) == {
        "a": ["new"],
        "b": ["follows a"],
        "c": ["follows b"],
    }
    assert would_run([c], {}) == {}
    assert would_run([c], {}, force=True) == {"c": ["--force"]}


def test_leaves_are_named_by_dotted_keys() -> None:
    tree = {"a": [1, {"b": None}], "c": {}}
    assert leaves(tree, "k") == {"k.a.0": 1, "k.a.1.b": None, "k.c": {}}
