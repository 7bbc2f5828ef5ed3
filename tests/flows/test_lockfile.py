"""A damaged or cut dvc.lock comes back from its last good copy."""

from pathlib import Path

import pytest

from flows import lockfile
from tasks.paths import Paths

GOOD = """\
schema: '2.0'
stages:
  a:
    cmd: one
  b:
    cmd: two
"""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A folder with a good dvc.lock that is kept."""
    (tmp_path / "dvc.lock").write_text(GOOD)
    lockfile.keep(Paths(tmp_path))
    return Paths(tmp_path)


@pytest.mark.parametrize(
    "damage",
    ["", GOOD[:30], GOOD[:-3], GOOD[:-1], "[]\n", "schema: '2.0'\nstages:\n  a:\n", "\x00"],
)
def test_a_damaged_file_is_restored(paths: Paths, damage: str) -> None:
    (paths.root / "dvc.lock").write_text(damage)
    assert "last good copy" in str(lockfile.mend(paths, cut_off=False))
    assert (paths.root / "dvc.lock").read_text() == GOOD


def test_a_good_file_stays_as_it_is(paths: Paths) -> None:
    newer = GOOD + "  c:\n    cmd: three\n"
    (paths.root / "dvc.lock").write_text(newer)
    for cut_off in (False, True):
        assert lockfile.mend(paths, cut_off) is None
        assert (paths.root / "dvc.lock").read_text() == newer


def test_entries_lost_in_a_kill_come_back_and_newer_ones_stay(paths: Paths) -> None:
    cut = "schema: '2.0'\nstages:\n  a:\n    cmd: newer\n"
    (paths.root / "dvc.lock").write_text(cut)
    assert lockfile.mend(paths, cut_off=False) is None  # a person may take an entry out
    assert "lost b" in str(lockfile.mend(paths, cut_off=True))
    assert lockfile.entries(paths) == {"a": {"cmd": "newer"}, "b": {"cmd": "two"}}


def test_a_damaged_file_is_never_kept_as_good(paths: Paths) -> None:
    (paths.root / "dvc.lock").write_text(GOOD[:30])
    lockfile.keep(paths)
    assert (paths.work / "dvc.lock").read_text() == GOOD


def test_without_a_good_copy_a_damaged_file_is_moved_aside(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text("schema: [")
    assert "damaged" in str(lockfile.mend(Paths(tmp_path), cut_off=False))
    assert not (tmp_path / "dvc.lock").exists()


def test_no_file_is_no_damage(tmp_path: Path) -> None:
    assert lockfile.mend(Paths(tmp_path), cut_off=True) is None
    assert lockfile.entries(Paths(tmp_path)) == {}
