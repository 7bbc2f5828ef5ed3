"""DVC reads what it always read, and parses each content once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows import parsed


@pytest.fixture
def fs() -> object:
    """DVC's view of the local files."""
    from dvc.fs import LocalFileSystem

    parsed.parse.cache_clear()
    return LocalFileSystem()


def test_a_file_is_parsed_once_and_given_out_as_a_copy(fs: object, tmp_path: Path) -> None:
    from dvc.utils.serialize import load_yaml

    path = tmp_path / "params.yaml"
    path.write_text("grids: [{size: 2}, {size: 4}]\nrate: 1e-3\non: 010\n")
    first, second = parsed.load(str(path), fs), parsed.load(str(path), fs)
    assert first == second == load_yaml(str(path), fs=fs)
    assert parsed.parse.cache_info().misses == 1
    first["grids"][0]["size"] = 3
    assert second["grids"][0]["size"] == 2 == parsed.load(str(path), fs)["grids"][0]["size"]


def test_a_changed_file_is_read_anew_within_the_same_second(fs: object, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    for width in (8, 9):
        path.write_text(f"width: {width}\n")
        assert parsed.load(str(path), fs) == {"width": width}


@pytest.mark.parametrize("content", [b"a: [1", b"\xff\xfe\xff", b""])
def test_mistakes_are_said_as_dvc_says_them(fs: object, tmp_path: Path, content: bytes) -> None:
    from dvc.utils.serialize import ParseError, load_yaml

    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    said = []
    for load in (load_yaml, parsed.load):
        try:
            said.append(load(str(path), fs=fs))
        except ParseError as error:
            said.append((type(error), str(error)))
    assert said[0] == said[1]


SETTINGS = "grids: [{size: 2}]\nfit: {rate: 1e-3, on: null, 3: odd, sizes: {}}\nseed: 0\n"
KEYS = ["fit", "fit.rate", "fit.on", "fit.none", "fit.3", "fit.sizes", "grids", "grids.0.size"]
KEYS += ["seed", "seed.none", "none", "fit.*", "fit.rat?", "", "fit.", ".fit"]


@pytest.mark.parametrize("name, text", [("a.yaml", SETTINGS), ("a.py", "REVISION = 3\nseed = 0\n")])
def test_settings_are_what_dvc_finds_by_the_same_keys(
    fs: object, tmp_path: Path, name: str, text: str
) -> None:
    path = tmp_path / name
    path.write_text(text)

    def told(read: Callable[..., Any], keys: list[str]) -> Any:
        try:
            return read(fs, str(path), keys, flatten=True)
        except Exception as error:
            return type(error), str(error)

    for keys in (*([key] for key in [*KEYS, "REVISION"]), ["fit.rate", "seed", "none"], []):
        assert told(parsed.settings, keys) == told(parsed.dvcs_own(), keys), keys


def test_a_setting_is_a_copy(fs: object, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(SETTINGS)
    parsed.settings(fs, str(path), ["grids"], flatten=True)["grids"].append("mine")
    assert parsed.settings(fs, str(path), ["grids"], flatten=True) == {"grids": [{"size": 2}]}


def test_dvc_asks_for_it(pipeline: Path) -> None:
    from flows.graph import all_stages, open_repo, stages_of, status
    from tasks.paths import Paths

    parsed.parse.cache_clear()
    found = []
    for _ in range(2):
        with open_repo(Paths()) as repo:
            every = all_stages(repo)
            status(repo, Paths(), stages_of(every, ["multigrid-digits"]))
        found.append(parsed.parse.cache_info())
    assert 0 < found[0].misses == found[1].misses and found[0].hits < found[1].hits
