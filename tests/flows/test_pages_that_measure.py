"""Commands of the pages that make, check or measure the project: each is run in a copy of it.

The copy has all settings, benchmarks and the Makefile; what a command would do for minutes or hours
it does here for a moment, by its own options.
"""

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from benchmarks.peers import PINNED
from benchmarks.sandbox import Plain, copy_project
from tasks.artefacts import read_json
from tasks.params_file import read_yaml
from tests.benchmarks.rivals import wheel
from tests.conftest import cut_down
from tests.flows.conftest import ROOT
from tests.flows.reader import Reader, commands
from tests.flows.test_pages import ALL, MEASURES, reason

pytestmark = [pytest.mark.slow, pytest.mark.measures, pytest.mark.timeout(1500)]

BESIDE = ("Makefile", "pyproject.toml", "requirements.lock", "conftest.py")
KINDS = {"slow": ["slow"], "browser": ["browser"], "data": ["slow", "data"]}
KINDS |= {"measures": ["slow", "measures"], "fault": ["fault"]}
SHORTER = {  # what is run in place of what a page says
    "python -m benchmarks.reliability": "python -m benchmarks.reliability clock_jumps --trials 1",
    "python -m benchmarks.reliability kill_stage --trials 2": "python -m benchmarks.reliability "
    "interrupt_once --trials 1",
    "python -m benchmarks.sampling": "python -m benchmarks.sampling --only latent --turns 1",
    "python -m benchmarks.sampling --quick": "python -m benchmarks.sampling --quick --only latent",
    "python -m benchmarks.overhead": "python -m benchmarks.overhead --seconds 15 --turns 1",
    "python -m benchmarks.overhead --ends": "python -m benchmarks.overhead --ends --turns 1",
    "python -m benchmarks.over_time shortrun-cifar10 --minutes 9 --pieces 3": "python -m "
    "benchmarks.over_time contrast-2d-rings-cd --minutes .3 --pieces 2",
    'timeout 570 python -m tasks train recovery-cifar10 learn; test $? -eq 124 && echo "to be '
    'continued"': "set +e; timeout 20 python -m tasks train contrast-2d-rings-shortrun learn; "
    'test $? -eq 124 && echo "to be continued"',
    "pytest tests/test_fuzz.py -m slow": "EBM_FUZZ=20 pytest tests/test_fuzz.py -m slow",
    ". .venv/bin/activate": ". .venv/bin/activate && command -v ebm",
}


def told(page: str) -> list[str]:
    """Return the commands of a page that are run here."""
    return [command for command in commands(page) if reason(command) == MEASURES]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A reader in a copy of the whole project, with a test of each kind in place of its own."""
    made = Reader(tmp_path_factory.mktemp("whole"))
    here = made.project
    made.env["PYTHONPATH"] = str(here)  # pytest's own program does not look in its folder
    copy_project(here)
    for name in ("benchmarks", ".ci"):
        shutil.copytree(ROOT / name, here / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in BESIDE:
        shutil.copy(ROOT / name, here)
    params = read_yaml(ROOT / "params.yaml")
    cut_down(params["experiments"]["multigrid-digits"])
    for name in ("contrast-2d-rings-shortrun", "contrast-2d-rings-cd"):  # cut off while they learn
        fit = params["experiments"][name]["train"]["learn"]["fit"]
        fit.update(updates=1_000_000, checkpoint_every=10)
    (here / "params.yaml").write_text(yaml.dump(params, Dumper=Plain, sort_keys=False))
    give_tests(here)
    give_environment(made)
    give_wheels(made)
    yield made


def give_tests(project: Path) -> None:
    """Have a test of each kind, which says that it was run, and the fuzzing."""
    tests = project / "tests"
    tests.mkdir()
    for name in ("conftest.py", "test_fuzz.py"):
        shutil.copy(ROOT / "tests" / name, tests)
    body = "    with open('kinds', 'a') as file:\n        file.write('{} ')\n"
    lines = ["import pytest\n\n\ndef test_quick():\n" + body.format("quick")]
    for kind, marks in KINDS.items():
        marked = "".join(f"@pytest.mark.{mark}\n" for mark in marks)
        lines.append(f"{marked}def test_{kind}():\n" + body.format(kind))
    (tests / "test_kinds.py").write_text("\n\n".join(lines).replace("'", '"'))
    settings = project / "pyproject.toml"
    before = settings.read_text()
    after = before.replace('testpaths = ["tests", ', 'testpaths = ["tests/test_kinds.py"] # ')
    assert before != after
    settings.write_text(after)


def give_environment(reader: Reader) -> None:
    """Have an environment that counts as made from requirements.lock, with this one's packages."""
    here = reader.project
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(here / ".venv")], check=True)
    packages = next((here / ".venv").glob("lib/*/site-packages"))
    (packages / "these.pth").write_text(sysconfig.get_path("purelib") + "\n")
    shutil.copy(reader.programs / "ebm", here / ".venv" / "bin")
    reader.follow('echo "$(cksum < requirements.lock) $PWD" > .venv/complete')
    reader.follow("cksum < pyproject.toml > .venv/project")


def give_wheels(reader: Reader) -> None:
    """Let pip find the other libraries in a folder, and nowhere else."""
    for name, version in PINNED.items():
        wheel(reader.home, name, version)
    reader.env.update(
        PIP_CONFIG_FILE="/dev/null", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(reader.home)
    )


def look(command: str, said: str, reader: Reader) -> None:
    """See that what a page promises of a command is there."""
    here = reader.project
    results = here / "results"
    if command.startswith("make run"):
        assert {"index.html", "multigrid-digits"} <= {path.name for path in results.iterdir()}
    if command.startswith("make") and command != "make run":
        ran = (here / "kinds").read_text().split()
        every = ["slow", "browser", "data", "measures"]
        assert ran == (["quick"] if command == "make test" else every)
        (here / "kinds").unlink()
    if command.startswith(". "):
        assert said.strip() == str(here / ".venv" / "bin" / "ebm")
    if command.startswith("timeout"):
        assert "to be continued" in said
        assert list((here / ".work" / "scratch").rglob("checkpoint.pt"))
    if "reliability" in command:
        found = read_json(results / "reliability.json")["faults"]
        assert all(each["ended_with_the_same_bits"] == 1 for each in found.values())
        assert len(found) == (2 if "--trials" in command else 1)
    if "over_time" in command:
        found = read_json(results / "benchmarks" / "over_time" / "contrast-2d-rings-cd.json")
        assert found["points"] and all(each["metrics"] for each in found["points"])
    if "benchmarks.sampling" in command and "--help" not in command:
        folder = here / ".work" / "benchmarks"  # those of some networks are no result
        assert read_json(folder / "sampling.json")["peers"] == PINNED
        assert (folder / "sampling.png").is_file()
    for name in ("latent", "suite", "overhead"):
        if f"benchmarks.{name}" in command:
            assert read_json(results / "benchmarks" / f"{name}.json")["command"].endswith(name)


PAGES = [page for page in ALL if told(page)]


@pytest.mark.parametrize("page", PAGES)
def test_its_commands_are_run(page: str, reader: Reader) -> None:
    for command in sorted(told(page), key=lambda line: not line.startswith("pip")):
        if "contrast-2d-rings" in SHORTER.get(command, ""):  # the data that it speaks of
            reader.follow("ebm run contrast-2d-rings-cd --only prepare")
        look(command, reader.follow(SHORTER.get(command, command)), reader)


def test_what_is_made_shorter_is_on_a_page() -> None:
    assert set(SHORTER) <= {command for page in ALL for command in told(page)}
