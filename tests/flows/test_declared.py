"""What stages newly declare is taken into dvc.lock, and nothing else of it changes."""

from pathlib import Path

import pytest
import yaml

from flows import declared
from tasks.paths import Paths

NEW, OLD = "ebm/new.py", "ebm/old.py"


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A lock of one stage that knows one file of code, and two that it declares now."""
    entry = {"cmd": "python -m tasks sample x", "params": {OLD: {"REVISION": 1}}, "outs": []}
    lock = {"schema": "2.0", "stages": {"sample@x": entry}}
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump(lock))
    now = {NEW: {"REVISION": 3}, OLD: {"REVISION": 2}}
    stages = {"sample@x": now, "sample@never-run": now}
    monkeypatch.setattr(declared, "declared", lambda paths: stages)
    return Paths(tmp_path)


def stages(paths: Paths) -> dict[str, dict[str, dict[str, object]]]:
    content: dict[str, dict[str, dict[str, dict[str, object]]]] = yaml.safe_load(
        (paths.root / "dvc.lock").read_text()
    )
    return content["stages"]


def test_a_newly_declared_file_is_taken_in_and_a_raised_revision_is_not(paths: Paths) -> None:
    assert declared.take_in(paths) == [f"sample@x: {NEW}"]
    assert stages(paths)["sample@x"]["params"] == {NEW: {"REVISION": 3}, OLD: {"REVISION": 1}}


def test_a_stage_that_never_ran_stays_out(paths: Paths) -> None:
    declared.take_in(paths)
    assert set(stages(paths)) == {"sample@x"}


def test_nothing_is_written_where_nothing_is_new(paths: Paths) -> None:
    declared.take_in(paths)
    before = (paths.root / "dvc.lock").stat().st_mtime_ns
    assert declared.take_in(paths) == []
    assert (paths.root / "dvc.lock").stat().st_mtime_ns == before
