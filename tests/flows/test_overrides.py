"""`--set` changes a run; `ebm keep` changes params.yaml, and nothing else in it."""

import difflib
import shutil
from pathlib import Path

import pytest

from flows.overrides import changed, keep, parse, remember
from tasks import settings
from tasks.paths import Paths
from tasks.refusals import SettingsError

ROOT = Path(__file__).parents[2]
NAME = "multigrid-digits-joint"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-3", 0.001),
        ("0.5", 0.5),
        ("null", None),
        ("true", True),
        ("gpu", "gpu"),
        ("'7'", "7"),
        ("[1, 2]", [1, 2]),
    ],
)
def test_a_value_is_read_as_yaml(text: str, value: object) -> None:
    [found] = parse([f"seed={text}"], ["a"]).values()
    assert found == value
    assert type(found) is type(value)


def test_a_key_is_full_or_relative_to_the_one_experiment() -> None:
    assert parse(["train.joint.fit.updates=3"], ["a"]) == {
        "experiments.a.train.joint.fit.updates": 3
    }
    assert parse(["experiments.b.seed=1", "datasets.d.seed=2"], ["a", "b"]) == {
        "experiments.b.seed": 1,
        "datasets.d.seed": 2,
    }
    with pytest.raises(ValueError, match="2 experiments are run"):
        parse(["seed=1"], ["a", "b"])


@pytest.mark.parametrize("wrong", ["seed", "=3", "seed: 3"])
def test_what_is_no_key_and_value_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="KEY=VALUE"):
        parse([wrong], ["a"])


def test_keep_changes_one_number_and_leaves_comments_and_layout(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    shutil.copy(ROOT / "params.yaml", paths.params)
    before = paths.params.read_text()
    rate = f"experiments.{NAME}.train.joint.model.grids.1.rate"
    remember(paths, {f"experiments.{NAME}.seed": 5, rate: 0.0005})
    keep(paths)
    after = paths.params.read_text()
    lines = [x for x in difflib.ndiff(before.splitlines(), after.splitlines()) if x[0] in "+-"]
    assert len(lines) == 4
    kept = settings.read(paths.params).experiments[NAME]
    assert kept.seed == 5
    assert kept.train["joint"].model.grids[1].rate == 0.0005
    with pytest.raises(ValueError, match="nothing to keep"):
        keep(paths)


def test_the_real_settings_survive_rewriting_byte_for_byte() -> None:
    text = (ROOT / "params.yaml").read_text()
    assert changed(text, {}) == text


def test_a_file_with_the_other_way_of_writing_lists_keeps_it() -> None:
    text = "a:\n- 1  # one\n- 2\nb:\n  c:\n  - {d: null}\n"
    assert changed(text, {"b.c.0.d": 3}) == text.replace("null", "3")


def test_keep_refuses_a_value_that_is_no_longer_right(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    shutil.copy(ROOT / "params.yaml", paths.params)
    before = paths.params.read_text()
    remember(paths, {f"experiments.{NAME}.sed": 5})
    with pytest.raises(SettingsError, match="did you mean"):
        keep(paths)
    assert paths.params.read_text() == before
