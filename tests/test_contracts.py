"""What holds of all the code: what it may import, how long it may be, what it may not say."""

import ast
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("ebm", "tasks", "flows")
SOURCES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))

BARE = """
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder

class Bare:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            return None
        return PathFinder.find_spec(name, path, target)

BLOCKED = set(sys.argv.pop(1).split(","))
sys.meta_path = [BuiltinImporter, FrozenImporter, Bare()]
from tasks.__main__ import main
sys.exit(main(sys.argv[1:]))
"""

NODE = {"torch", "numpy", "pydantic", "PyYAML"}


def blocked() -> set[str]:
    """Return what is importable here and would not be where only NODE is installed."""
    from importlib.metadata import requires

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    wanted, todo = set(), [canonicalize_name(name) for name in NODE]
    while todo:
        name = todo.pop()
        if name in wanted:
            continue
        wanted.add(name)
        for line in requires(name) or []:
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                todo.append(canonicalize_name(needed.name))
    return {
        module
        for module, owners in packages_distributions().items()
        if not wanted & {canonicalize_name(owner) for owner in owners}
    } - set(PACKAGES)


def bare(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BARE, ",".join(blocked()), *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )


def test_training_needs_torch_numpy_pydantic_and_yaml_alone(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {"prefect", "dvc", "mlflow", "torchvision", "pandas", "scipy", "PIL"} <= blocked()
    from tasks.__main__ import main

    with monkeypatch.context() as patch:
        patch.chdir(project)
        patch.setattr("tasks.__main__.die_with_parent", lambda asker: None)
        assert main(["prepare", "digits"]) == 0
    done = bare(project, "train", "tiny", "joint")
    assert done.returncode == 0, done.stderr
    assert (project / "models" / "tiny" / "joint" / "model.pt").is_file()


def test_preparing_needs_no_more_than_training(project: Path) -> None:
    done = bare(project, "prepare", "digits")
    assert done.returncode == 0, done.stderr


def functions(tree: ast.Module) -> list[tuple[str, int]]:
    """Return the functions with the lines of their code, docstring not counted."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            found.append((node.name, lines))
    return found


def test_nine_functions_in_ten_have_at_most_25_lines() -> None:
    lengths = [n for path in SOURCES for _, n in functions(ast.parse(path.read_text()))]
    assert sum(n <= 25 for n in lengths) >= 0.9 * len(lengths)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_and_functions_can_be_read_at_a_glance(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 450
    long = [(name, n) for name, n in functions(ast.parse(text)) if n > 45]
    assert not long


def tracked() -> list[Path]:
    """Return the project's text files, those not yet committed too."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git repository")
    kinds = {".py", ".md", ".yaml", ".yml", ".toml", ".lock", ".json", ".txt", ".html", ""}
    files = [ROOT / line for line in listed.stdout.splitlines()]
    return [f for f in files if f.suffix in kinds and f.is_file() and f != Path(__file__)]


def test_no_file_names_a_place_on_a_machine_or_a_registry() -> None:
    pattern = re.compile(r"(?<![\w.])/(?:home|root|work|Users)/\w|--index-url|--extra-index")
    for file in tracked():
        found = pattern.search(file.read_text(errors="ignore"))
        assert not found, f"{file.relative_to(ROOT)} says {found[0]}"


def test_lock_pins_names_and_versions_alone() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    names = [re.sub("[-_.]+", "-", line.split("==")[0]).lower() for line in lines]
    assert len(set(names)) == len(names)


def test_lock_is_what_is_installed() -> None:
    from importlib.metadata import version

    for line in (ROOT / "requirements.lock").read_text().splitlines():
        name, pinned = line.split("==")
        assert version(name).split("+")[0] == pinned, name


def test_lock_has_everything_that_the_project_names() -> None:
    import tomllib

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
    pins = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text().splitlines())
    pins = {canonicalize_name(name): pin for name, pin in pins.items()}
    for line in named:
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        assert name in pins and requirement.specifier.contains(pins[name]), line
