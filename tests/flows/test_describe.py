"""`ebm show`: settings, stages, expected time, model."""

import json
from contextlib import nullcontext
from pathlib import Path

import pytest

from flows import describe
from flows.graph import Stage
from tasks.paths import Paths

STAGES = [
    Stage("train@tiny-joint", "train", "tiny", "joint", (), (), (), ""),
    Stage("sample@tiny", "sample", "tiny", None, ("train@tiny-joint",), (), (), ""),
]


@pytest.fixture
def paths(project: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.setattr(describe, "stages", lambda *_: STAGES)
    return Paths(project)


def test_show_has_settings_stages_time_and_the_models_folder(paths: Paths) -> None:
    lines = list(describe.describe(paths, "tiny"))
    assert any("updates: 4" in line for line in lines)
    assert "  sample@tiny  <- train@tiny-joint" in lines
    assert "Expected time: not measured yet on a CPU" in lines
    assert lines[-1] == f"Trained model: {paths.model('tiny', 'joint')} (not trained yet)"


def test_the_expected_time_is_the_last_measured_one_with_its_machine(paths: Paths) -> None:
    for stage, part in (("train", "joint"), ("sample", None), ("evaluate", None)) + (
        ("classify", None),
        ("apply", None),
    ):
        record = paths.record(stage, "tiny", part)
        record.parent.mkdir(parents=True, exist_ok=True)
        facts = {"stage": stage, "part": part, "seconds": 60, "device": "cpu"}
        record.write_text(json.dumps({**facts, "device_name": "A processor"}))
    [line] = [x for x in describe.describe(paths, "tiny") if x.startswith("Expected time")]
    assert line.startswith("Expected time: 5 min 0 s on A processor")
    assert "train-joint 1 min 0 s" in line


def test_why_says_what_runs_what_follows_and_when_nothing_would(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed: dict[str, list[str]] = {}
    monkeypatch.setattr(describe, "open_repo", lambda *_: nullcontext())
    monkeypatch.setattr(describe, "all_stages", lambda _: {s.address: s for s in STAGES})
    monkeypatch.setattr(describe, "status", lambda *_: changed)
    assert list(describe.reasons(paths, "tiny")) == [
        "Nothing would run: all 2 stages of tiny are up to date."
    ]
    changed["train@tiny-joint"] = ["setting `seed`: 0 -> 1"]
    assert list(describe.reasons(paths, "tiny")) == [
        "train@tiny-joint would run:",
        "  setting `seed`: 0 -> 1",
        "sample@tiny would run if train@tiny-joint gives something new",
    ]
