"""The pieces of the speed benchmark work, on tiny chains; nothing is timed against a limit."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks import compare, growth, memory, peers, sampling, training
from benchmarks.contenders import BARE, HERE, OURS
from benchmarks.workloads import ALL, ROWS, Workload, quick, work
from tests.benchmarks.rivals import put


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with stand-ins for both peers."""
    put(tmp_path / "torchebm", "torchebm", "0.0.1")
    put(tmp_path / "ebmkit", "ebmkit", "0.0.2")
    for name in ("torchebm", "torchebm.core", "torchebm.samplers"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "torchebm"), *sys.path])
    yield tmp_path
    for name in ("torchebm", "torchebm.core", "torchebm.samplers"):
        sys.modules.pop(name, None)


def tiny(name: str) -> Workload:
    return next(load for load in ALL if load.name == name)._replace(chains=3, steps=2)


@pytest.mark.parametrize("load", ALL, ids=lambda load: load.name)
def test_every_layout_has_the_same_weights_and_start(load: Workload) -> None:
    first, *others = [work(quick(load)._replace(chains=2), way, "cpu") for way in load.layouts]
    assert first.network(first.x).shape == (2,)
    for other in others:
        assert torch.equal(first.x, other.x)
        pairs = zip(first.network.parameters(), other.network.parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def test_every_contender_goes_the_way_of_ours_and_leaves_the_parameters_learning(
    folder: Path,
) -> None:
    load = tiny("ConvNet 8x8")
    with peers.Ebmkit(folder, "cpu", 1) as kit:
        listed = compare.entries(load, "cpu", folder, kit)
        assert {e.contender for e in listed} >= {*HERE, "torchebm", "ebmkit"}
        assert compare.check(listed, "cpu") < compare.CLOSE
        rows = compare.in_turns(listed, turns=2)
    assert all(row["ms_a_step"] > 0 for row in rows)
    found = compare.speeds(load, rows)
    assert all(found[name] > 0 for name in ("torchebm", "ebmkit", "best_loop"))
    task = work(load, ROWS, "cpu")
    for contender in HERE.values():
        contender(task)
        assert all(p.requires_grad and p.grad is None for p in task.network.parameters())


def test_contender_that_goes_another_way_is_refused(folder: Path) -> None:
    path = folder / "torchebm/torchebm/samplers.py"
    path.write_text(path.read_text().replace("x - self.step_size", "x + self.step_size"))
    listed = compare.entries(tiny("latent MLP"), "cpu", folder, None)
    with pytest.raises(ValueError, match="torchebm on latent MLP goes another way"):
        compare.check(listed, "cpu")


def test_peers_that_are_missing_are_named_with_the_command_that_installs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sampling, "version", lambda name, folder: None)
    monkeypatch.setattr(compare, "version", lambda name, folder: None)
    found = sampling.samplers([tiny("latent MLP")], 1, "cpu", 1, tmp_path)
    assert found["speeds"][0]["torchebm"] is None and found["speeds"][0]["ebmkit"] is None
    assert "torchebm: not installed; pip install --no-deps" in capsys.readouterr().out
    assert found["peers"]["ebmkit"].endswith("ebmkit==0.16.0")
    found |= {"training": {"overhead": 0.0}, "memory": []}
    missing = [row for row in sampling.goals(found) if row["value"] is None]
    assert [row["goal"] for row in missing] == ["latent MLP: speed over torchebm"]
    assert all(row["met"] is None for row in missing)


def test_versions_are_those_of_the_folder(folder: Path) -> None:
    assert peers.version("torchebm", folder) == "0.0.1"
    assert peers.version("ebmkit", folder) == "0.0.2"


def test_goals_are_met_from_the_right_side() -> None:
    row = {"network": "latent MLP", "torchebm": 1.6, "best_loop": 1.0, "best_loop_same_layout": 2.0}
    memory_row = {"network": "latent MLP", "chain_to_backward": 1.1}
    found = {"speeds": [row], "training": {"overhead": 0.2}, "memory": [memory_row]}
    assert [goal["met"] for goal in sampling.goals(found)] == [False, True, True, False, True]


def test_training_growth_and_memory_are_measured() -> None:
    assert training.measure(1, "cpu", steps=1)["ms_iteration"] > 0
    grown = {"chains": [1, 2, 4]}
    spent = growth.measure(grown, 1, "cpu", timed=lambda task: len(task.x) ** 2 / 1000)
    assert spent[0]["ms"] == pytest.approx([1, 4, 16])
    assert spent[0]["exponent"] == pytest.approx(2)
    load = tiny("latent MLP")._replace(chains=20_000)
    rows = memory.measure([load], "cpu", 1)
    assert rows[0]["mib"]["chain"] > 20_000 * 400 * 4 / 2**20  # both hidden layers at least


def test_command_line_writes_figures_and_picture_apart_from_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sampling, "quick", lambda load: load._replace(chains=2, steps=1))
    monkeypatch.setattr(training, "measure", lambda *_: {"overhead": 0.0})
    monkeypatch.setattr(memory, "measure", lambda *_: [])
    monkeypatch.setattr(growth, "SHORT", {"chains": [1, 2]})
    line = ["sampling", "--quick", "--only", "latent", "--turns", "2", "--threads", "1"]
    monkeypatch.setattr(sys, "argv", [*line, "--peers", str(tmp_path)])
    sampling.main()
    written = {path.name for path in (tmp_path / ".work/benchmarks").iterdir()}
    assert written == {"sampling.json", "sampling.png"}
    assert not (tmp_path / "results").exists()


def test_help_names_the_peers_commands() -> None:
    text = sampling.parser().format_help()
    assert isinstance(sampling.parser(), argparse.ArgumentParser)
    assert all(peers.pip_line(name) in text for name in peers.PINNED)
    assert OURS != BARE
