"""No change of results without a REVISION, and every REVISION declared where it counts."""

import json
from pathlib import Path
from typing import NamedTuple

import grimp
import pytest
import yaml
from dvc.dependency.param import ParamsDependency
from dvc.repo import Repo

from tasks import settings
from tasks.inputs import inputs
from tasks.paths import Paths
from tasks.reads import reads
from tasks.revisions import bump, digest, main, modules, problems, recorded

ROOT = Path(__file__).parents[1]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
SETTINGS = settings.read(ROOT / "params.yaml")
WITH_REVISION = set(modules(ROOT))

MODULE = '''"""Adds."""

REVISION = 1

FACTOR: int = 2


class Settings:
    """Some."""

    size: int


def add(x: int, y: int = 1) -> int:
    """Return the sum."""
    return x + FACTOR * y  # twice
'''


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one module, on record."""
    for folder in ("ebm", "tasks", "tests"):
        (tmp_path / folder).mkdir()
    (tmp_path / "ebm" / "add.py").write_text(MODULE)
    (tmp_path / "ebm" / "plain.py").write_text("x = 1\n")
    assert main(["--record"], tmp_path) == 0
    return tmp_path


def change(root: Path, old: str, new: str) -> None:
    path = root / "ebm" / "add.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Adds."""', '"""Adds two\nnumbers."""'),
        ('"""Return the sum."""', '"""Return something."""'),
        ("  # twice", ""),
        ("x: int, y: int = 1", "x, y: float = 1"),
        (" -> int", ""),
        ("FACTOR: int = 2", "FACTOR = 2"),
        ("x + FACTOR * y", "(x\n        + FACTOR * y)"),
    ],
)
def test_words_types_and_layout_do_not_count(root: Path, old: str, new: str) -> None:
    change(root, old, new)
    assert main([], root) == 0


@pytest.mark.parametrize(
    ("old", "new"),
    [("x + FACTOR", "x - FACTOR"), ("= 2", "= 3"), ("y: int = 1", "y: int = 0")],
)
def test_changed_mathematics_is_noticed_and_said(
    root: Path, old: str, new: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change(root, old, new)
    assert main([], root) == 1
    said = capsys.readouterr().out
    assert "ebm/add.py has changed under REVISION 1" in said
    assert "--bump ebm/add.py" in said and "--same-results ebm/add.py" in said
    assert main(["--record"], root) == 1, "a silent change must not slip into the record"


def test_bumping_raises_the_revision_and_settles_it(root: Path) -> None:
    change(root, "x + FACTOR", "x - FACTOR")
    assert main(["--bump", "ebm/add.py"], root) == 0
    assert "\nREVISION = 2\n" in (root / "ebm" / "add.py").read_text()
    assert recorded(root)["ebm/add.py"]["revision"] == 2


def test_same_results_settles_it_and_keeps_the_revision(root: Path) -> None:
    change(root, "x + FACTOR * y", "FACTOR * y + x")
    assert main(["--same-results", "ebm/add.py"], root) == 0
    assert recorded(root)["ebm/add.py"]["revision"] == 1


def test_revision_raised_by_hand_is_taken_in(root: Path) -> None:
    change(root, "x + FACTOR", "x - FACTOR")
    change(root, "REVISION = 1", "REVISION = 2")
    assert main([], root) == 1
    assert main(["--record"], root) == 0


def test_revision_must_not_fall(root: Path) -> None:
    bump(root, "ebm/add.py")
    change(root, "REVISION = 2", "REVISION = 1")
    assert main(["--record"], root) == 1


def test_new_and_removed_modules_are_noticed(root: Path) -> None:
    (root / "ebm" / "add.py").rename(root / "ebm" / "sum.py")
    assert set(problems(modules(root), recorded(root))) == {"ebm/add.py", "ebm/sum.py"}
    assert main(["--record"], root) == 0
    assert list(recorded(root)) == ["ebm/sum.py"]


def test_wrong_arguments_are_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--bump", "ebm/plain.py"], root) == 1
    assert "ebm/plain.py has no line `REVISION = n`" in capsys.readouterr().err
    assert main(["--bump"], root) == main(["--what"], root) == 2


def test_digest_stays_the_same_by_itself() -> None:
    assert digest("x = 1") == digest("x=1  # one") != digest("x = 2")


def test_record_agrees_with_the_code() -> None:
    left = problems(modules(ROOT), recorded(ROOT))
    assert not left, "\n".join(f"{name} {text}" for name, text in left.items())


def test_record_is_written_as_json_with_sorted_names() -> None:
    names = list(json.loads((ROOT / "tests" / "revisions.json").read_text()))
    assert names == sorted(names)


# What DVC declares, against what a stage can import


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """Who imports whom, but for the settings, whose values are declared, and the monitor."""
    made = grimp.build_graph("ebm", "tasks", cache_dir=None)
    of_settings = ("settings", "inputs", "dataset_settings", "experiment_settings")
    for module in (*of_settings, "monitor", "__main__"):
        made.remove_module(f"tasks.{module}")
    return made


def chosen(stage: str, name: str) -> list[str]:
    """Return the modules that a stage imports by the names in params.yaml."""
    if stage == "fetch":
        return [f"ebm.datasets.{name}"]
    if stage == "prepare":
        return [f"ebm.datasets.{PARAMS['datasets'][name]['source']}"]
    experiment = PARAMS["experiments"][name]
    return [f"ebm.learn.{experiment['learner']}", f"ebm.networks.{experiment['network']}"]


def reachable(graph: grimp.ImportGraph, stage: str, name: str) -> set[str]:
    """Return the files with a REVISION that a stage's process can import."""
    start = f"tasks.{stage}"
    found = {start, *graph.find_upstream_modules(start)}
    if {"ebm.learn", "ebm.datasets"} & found and (stage != "evaluate" or "ebm.learn" in found):
        for module in chosen(stage, name):
            found |= {module, *graph.find_upstream_modules(module)}
    files = {module.replace(".", "/") + ".py" for module in found}
    return files & WITH_REVISION


class Declared(NamedTuple):
    """What dvc.yaml says of a stage: its arguments, the .py files among its params, its deps."""

    arguments: list[str]
    code: set[str]
    needs: set[str]


def declared() -> dict[str, Declared]:
    """Return by DVC stage what dvc.yaml says of it."""
    with Repo(str(ROOT)) as repo:
        return {
            stage.addressing: Declared(
                stage.cmd.split()[3:],
                {
                    Path(d.fs_path).relative_to(ROOT).as_posix()
                    for d in stage.params
                    if d.fs_path.endswith(".py") and set(d.params) == {"REVISION"}
                },
                {
                    Path(d.fs_path).relative_to(ROOT).as_posix()
                    for d in stage.deps
                    if not isinstance(d, ParamsDependency)
                },
            )
            for stage in repo.index.stages
        }


def module_of(stage: str) -> str:
    """Return the module of a stage: kinds have their own, latent-space models only to apply."""
    own = stage.replace("-", "_")
    return own if (ROOT / "tasks" / f"{own}.py").exists() else stage.partition("-")[0]


DECLARED = declared()


@pytest.mark.parametrize("stage", DECLARED)
def test_stage_declares_every_revision_that_it_can_import(
    stage: str, graph: grimp.ImportGraph
) -> None:
    (_, name, *_), files, _ = DECLARED[stage]
    kind = module_of(stage.partition("@")[0])
    missing = reachable(graph, kind, name) - files
    assert not missing, f"{stage} does not declare {', '.join(sorted(missing))}"


@pytest.mark.parametrize("stage", DECLARED)
def test_every_declared_file_has_a_revision(stage: str) -> None:
    assert DECLARED[stage].code <= WITH_REVISION


@pytest.mark.parametrize("stage", DECLARED)
def test_stage_reads_what_it_declares(stage: str) -> None:
    """A file counts where it is declared, or lies in a folder that is, and the other way round."""
    (verb, name, *part), _, needs = DECLARED[stage]
    given = None if verb == "fetch" else inputs(SETTINGS, verb, name, *part)
    read = {path.as_posix() for path in reads(verb, name, given, Paths(Path()))}

    unread = [each for each in needs if not meets(each, read)]
    undeclared = [each for each in read if not meets(each, needs)]
    assert not unread and not undeclared


def meets(place: str, others: set[str]) -> bool:
    """Tell whether a place is one of others, in one of them, or around one."""
    pairs = ((f"{place}/", f"{each}/") for each in others)
    return any(a.startswith(b) or b.startswith(a) for a, b in pairs)
