"""The bill of materials lists what is pinned and what is fetched, each with its licence."""

from pathlib import Path

import pytest

from ebm.datasets import LOADERS, WEIGHTS
from tasks import materials

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / materials.PAGE).read_text()
LOCK = (ROOT / materials.LOCK).read_text()


def rows(title: str) -> list[list[str]]:
    """Return the rows of the table below a heading."""
    part = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_each_pinned_package_is_listed_with_its_version() -> None:
    listed = [(name, version) for name, version, _ in rows("Packages")]
    assert listed == materials.pinned(LOCK), "run `python -m tasks.materials`"


def test_each_data_set_and_each_network_is_listed() -> None:
    assert [row[0] for row in rows("Data and weights")] == sorted({*LOADERS, *WEIGHTS})
    assert rows("Data and weights") == [list(row) for row in materials.data()]


def test_everything_has_a_licence_and_the_table_says_what_the_packages_say() -> None:
    unstated = [name for name, _, licence in rows("Packages") if licence == materials.UNSTATED]
    assert unstated == ["huey", "skops"]  # both MIT, by a file of theirs
    for name, _, licence in rows("Packages"):
        assert licence == materials.licence(name), f"{name}: run `python -m tasks.materials`"


def test_a_package_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="no-such-package is not installed; `make install`"):
        materials.licence("no-such-package")


def test_a_line_without_a_version_is_named() -> None:
    with pytest.raises(ValueError, match="line 2 is 'torch>=2'; it must be NAME==VERSION"):
        materials.pinned("numpy==2.4.6\ntorch>=2\n")


def test_the_page_is_written_whole_or_says_why_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert materials.main() == 1
    assert "requirements.lock" in capsys.readouterr().err
    (tmp_path / "requirements.lock").write_text("numpy==2.4.6\n")
    assert materials.main() == 0
    assert "| numpy | 2.4.6 | " in (tmp_path / materials.PAGE).read_text()
