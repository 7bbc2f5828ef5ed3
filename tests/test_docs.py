"""The documents say what is so."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from flows.cli import app
from tasks.params_file import read_yaml
from tasks.report.systems import SYSTEMS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SLIDES = re.findall(r"^- `([\w/.]+)`: `(.+)`$", (ROOT / "docs/slides.md").read_text(), re.M)


def test_slides_name_lines() -> None:
    assert len(SLIDES) >= 12


@pytest.mark.parametrize(("file", "line"), SLIDES)
def test_each_line_of_the_slides_exists(file: str, line: str) -> None:
    lines = [text.strip() for text in (ROOT / file).read_text().splitlines()]
    assert line in lines, f"{file} has no line {line!r}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_readme_lists_the_systems_that_experiments_cover() -> None:
    experiments = read_yaml(ROOT / "params.yaml")["experiments"].values()
    covered = {system for experiment in experiments for system in experiment["systems"]}
    listed = re.findall(r"^\| (S\d\d) \|", (ROOT / "README.md").read_text(), re.M)
    assert listed == sorted(covered)
    assert covered <= set(SYSTEMS)


COMMANDS = [
    (page.name, line.split("#")[0].strip())
    for page in PAGES
    for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.M | re.S)
    for line in block.splitlines()
    if line.split("#")[0].strip()
]


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_each_command_of_the_pages_exists_with_its_options(page: str, command: str) -> None:
    program, *words = shlex.split(command)
    options = [word.split("=")[0] for word in words if word.startswith("--")]
    if program == "ebm":
        group = typer.main.get_command(app)
        known = group.commands[words[0]].params  # type: ignore[attr-defined]
        assert {name for p in known for name in p.opts} >= set(options), command
    elif command.startswith("python -m tasks."):
        module = ROOT / "tasks" / f"{words[1].split('.')[1]}.py"
        assert all(option in module.read_text() for option in options), command
    elif program == "make":
        assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text(), re.M), command
