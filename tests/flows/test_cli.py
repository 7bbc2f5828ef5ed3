"""The command line: what it prints, its exit status, and one sentence for an error."""

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from flows import command as commands
from flows.cli import app

ROOT = Path(__file__).parents[2]
NAME = "multigrid-digits-joint"
COMMANDS = (
    "list",
    "show",
    "why",
    "run",
    "keep",
    "results",
    "report",
    "sample",
    "inpaint",
    "translate",
    "score",
    "dashboard",
    "adopt",
    "clean",
    "compare",
    "promote",
    "serve",
    "status",
    "stop",
    "notify",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project's folder with the real settings and no results, and go there."""
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EBM_DEBUG", raising=False)
    return tmp_path


def call(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    result = call(name, "--help")
    assert result.exit_code == 0
    assert f"ebm {name}" in result.stdout


def test_help_and_list_import_nothing_heavy() -> None:
    """They answer in well under two seconds because they import none of these."""
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from flows.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "assert CliRunner().invoke(app, ['list']).exit_code == 0\n"
        "heavy = {'torch', 'pandas', 'mlflow', 'prefect', 'dvc', 'numpy', 'pydantic'}\n"
        "print(sorted(heavy & sys.modules.keys()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_list_prints_json(folder: Path) -> None:
    rows = json.loads(call("list", "--json").stdout)
    assert {row["name"] for row in rows} >= {NAME}
    assert NAME in call("list").stdout


def test_commands_work_in_a_folder_of_the_project(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "docs").mkdir()
    monkeypatch.chdir(folder / "docs")
    assert call("list").exit_code == 0
    assert Path.cwd() == folder / "docs"


def test_the_callers_folder_may_go_while_a_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (tmp_path / "params.yaml").write_text("{}")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(commands, "app", typer.Typer())
    commands.command(folder.rmdir)()
    assert Path.cwd() == tmp_path


def test_results_go_to_a_csv_file_in_the_callers_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = folder / "results" / NAME
    place.mkdir(parents=True)
    (place / "metrics.json").write_text('{"metrics": [{"metric": "m", "value": 1.5}]}')
    notes = folder / "notes"
    notes.mkdir()
    monkeypatch.chdir(notes)
    result = call("results", NAME, "--json", "--csv", "mine.csv")
    assert json.loads(result.stdout)[0]["value"] == 1.5
    assert (notes / "mine.csv").read_text().splitlines()[0].startswith("experiment,system,metric")
    again = call("results", "--csv", "mine.csv")
    assert again.exit_code == 1 and "mine.csv is there already; give --force" in again.stderr
    assert call("results", "--csv", "mine.csv", "--force").exit_code == 0
    assert call("results", "--csv", "new/table").exit_code == 0
    assert (notes / "new" / "table" / "results.csv").is_file()
    inside = call("results", "--csv", "../results/all.csv")
    assert inside.exit_code == 1 and "choose --csv" in inside.stderr
    assert "1.5" in call("results").stdout


@pytest.mark.parametrize("name", ["show", "why", "run", "results", "report"])
def test_an_unknown_experiment_is_one_sentence_and_a_status(folder: Path, name: str) -> None:
    result = call(name, "multigrid-digits-join")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert f"did you mean {NAME}?" in result.stderr
    assert list(folder.glob("results/*")) == []


def test_an_error_has_its_trace_when_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EBM_DEBUG", "1")
    assert isinstance(call("results", "none").exception, ValueError)


def test_outside_a_project_it_says_where_to_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call("list")
    assert result.exit_code == 1
    assert "no params.yaml" in result.stderr


@pytest.mark.parametrize("change", ["train.joint.fit.updates=none", "seed", "train.joint.fit.up=3"])
def test_a_wrong_change_is_refused_before_work_starts(folder: Path, change: str) -> None:
    before = (folder / "params.yaml").read_bytes()
    result = call("run", NAME, "--set", change)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert (folder / "params.yaml").read_bytes() == before
    assert not (folder / ".work" / "overrides.json").exists()


def test_a_database_that_is_damaged_stops_a_run_before_work_starts(folder: Path) -> None:
    (folder / "mlflow.db").write_bytes(b"damaged" * 1000)
    result = call("run", NAME)
    assert result.exit_code == 1
    assert "mlflow.db" in result.stderr
    assert not (folder / "data").exists()


def test_a_port_in_use_is_one_sentence(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = call("dashboard", "--port-mlflow", str(port))
    assert result.exit_code == 1
    assert f"port {port} is in use" in result.stderr
    assert not (folder / ".work").exists()


def test_keep_without_a_change_says_so(folder: Path) -> None:
    result = call("keep")
    assert result.exit_code == 1
    assert "nothing to keep" in result.stderr


def test_clean_says_what_it_freed(folder: Path) -> None:
    assert "nothing to remove" in call("clean").stdout
    log = folder / ".work" / "logs" / NAME / "sample.log"
    log.parent.mkdir(parents=True)
    log.write_text("x" * 1500)
    assert call("clean", NAME).stdout == "logs: 1.5 kB freed\n"
    assert not log.exists()


def test_clean_of_an_unknown_name_is_one_sentence_and_a_status(folder: Path) -> None:
    result = call("clean", "multigrid-digits-join")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert f"did you mean {NAME}?" in result.stderr
    assert "nothing to remove" in call("clean", "digits").stdout


# Versions


def measured(folder: Path, name: str, value: float) -> None:
    """Leave a figure of an experiment."""
    place = folder / "results" / name
    place.mkdir(parents=True)
    row = {"metric": "m", "value": value, "spread": 0.1, "better": "lower"}
    (place / "metrics.json").write_text(json.dumps({"metrics": [row]}))


def test_compare_prints_the_tables_and_says_where_the_page_is(folder: Path) -> None:
    measured(folder, NAME, 1.5), measured(folder, "multigrid-digits", 1.0)
    result = call("compare", NAME, "multigrid-digits")
    assert result.exit_code == 0, result.stderr
    page = folder / "results" / "compare" / f"{NAME}--multigrid-digits.html"
    assert result.stdout.endswith(f"Curves and pictures: {page}\n") and page.is_file()
    assert "Settings that differ" in result.stdout and "1.5 ± 0.1" in result.stdout
    words = ["compare", NAME, "multigrid-digits", "--out", "mine.html"]
    told = json.loads(call(*words, "--json").stdout)
    assert told["page"] == str(folder / "mine.html")
    assert told["metrics"][0]["difference"] == -0.5 and told["metrics"][0]["word"] == "better"
    assert "mine.html is there already; give --force" in call(*words).stderr
    assert call(*words, "--force").exit_code == 0


def test_compare_and_promote_say_what_is_wrong_in_one_sentence(folder: Path) -> None:
    for words, said in (
        (("compare", f"{NAME}s", NAME), f"did you mean {NAME}?"),
        (("compare", NAME, "multigrid-digits"), f"`ebm run {NAME}` makes them"),
        (("compare", NAME, "x", "--out", "page.pdf"), "a file that ends with .html"),
        (("promote", f"{NAME}s"), f"did you mean {NAME}?"),
        (("promote", NAME), f"not trained yet; `ebm run {NAME}`"),
        (("promote", NAME, "--alias", "v1"), "--alias is 'v1'"),
        (("promote", "3f9c2ab"), "3f9c2ab: there is no mlflow.db here"),
        (("promote", "3f9c2ab:x", "--version", "1"), "3f9c2ab:x is a run and --version 1"),
    ):
        result = call(*words)
        assert result.exit_code == 1 and result.stdout == ""
        assert result.stderr.count("\n") == 1 and said in result.stderr
    assert not (folder / "results").exists() and not (folder / "mlflow.db").exists()


# A trained model on files


@pytest.fixture
def trained(folder: Path) -> Path:
    """The project's folder with a tiny model, untrained, where the trained one would be."""
    import torch

    from ebm.learn.multigrid import Multigrid
    from ebm.stored import save

    grid = {"width": 3, "steps": 2, "step_size": 1.0, "noise": 0.05, "start_noise": 0.1}
    rest = {"bounds": 1.0, "data_noise": 0.0, "rate": 0.01, "momentum": 0.5, "decay": 0.05}
    settings = {"channels": 1, "grids": [{"size": 4, **grid, **rest}]}
    learner = Multigrid(Multigrid.Settings.model_validate(settings))
    learner.prepare(torch.rand(9, 1, 4, 4))
    place = folder / "models" / NAME / "joint"
    place.mkdir(parents=True)
    save(place, "multigrid", learner, learner.networks)
    return folder


def picture(path: Path, value: int = 90, size: tuple[int, int] = (8, 8)) -> Path:
    from PIL import Image

    Image.new("L", size, value).save(path)
    return path


ON_FILES = [
    ("sample", NAME),
    ("inpaint", NAME, "a.png", "b.png"),
    ("translate", NAME, "a.png"),
    ("score", NAME, "a.png"),
]


@pytest.mark.parametrize("words", ON_FILES, ids=lambda words: words[0])
def test_model_that_is_not_trained_or_known_is_one_sentence(
    folder: Path, words: tuple[str, ...]
) -> None:
    result = call(*words)
    assert result.exit_code == 1 and result.stdout == ""
    assert result.stderr == f"ebm: {NAME} is not trained yet; `ebm run {NAME}` trains it\n"
    result = call(words[0], f"{NAME}s", *words[2:])
    assert result.exit_code == 1 and f"did you mean {NAME}?" in result.stderr


def test_sample_writes_into_the_callers_folder_and_nothing_over_what_is_there(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (trained / "docs").mkdir()
    monkeypatch.chdir(trained / "docs")
    sheet = trained / "docs" / f"{NAME}-samples-seed-3.png"
    result = call("sample", NAME, "--seed", "3", "--count", "5")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"Written: a sheet of 5 samples, {sheet.name}\n"
    before = sheet.read_bytes()
    result = call("sample", NAME, "--seed", "3", "--count", "6")
    assert result.exit_code == 1
    assert f"{sheet} is there already; give --force to replace it" in result.stderr
    assert sheet.read_bytes() == before
    assert call("sample", NAME, "--seed", "3", "--count", "6", "--force").exit_code == 0
    assert sheet.read_bytes() != before
    assert list((trained / "docs").iterdir()) == [sheet]


def test_sample_writes_a_file_for_each_when_asked(trained: Path) -> None:
    for words in (["--out", "mine"], []):
        result = call("sample", NAME, "--each", "--count", "3", *words)
        folder = words[1] if words else f"{NAME}-samples-seed-0"
        assert result.stdout == f"Written: 3 pictures in {folder}\n"
        files = sorted(path.name for path in (trained / folder).iterdir())
        assert files == ["000.png", "001.png", "002.png"]
    assert "000.png is there already" in call("sample", NAME, "--each", "--count", "1").stderr


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("a.jpg", "it must be a folder or a file that ends with .png"),
        ("results", "lies in results/, which the pipeline writes"),
        (f"models/{NAME}/joint/a.png", "lies in models/, which the pipeline writes"),
    ],
)
def test_place_that_cannot_be_written_is_refused_before_any_work(
    trained: Path, out: str, words: str
) -> None:
    for command in (["sample", NAME], ["inpaint", NAME, "a.png", "b.png"]):
        result = call(*command, "--out", out)
        assert result.exit_code == 1 and words in result.stderr
        assert not (trained / "results").exists()


def test_what_is_written_does_not_make_the_project_look_changed() -> None:
    names = [f"{NAME}-samples-seed-3.png", f"docs/{NAME}-inpaint-seven-seed-4.png"]
    names += [f"{NAME}-translate-face-seed-0.png"]
    command = ["git", "check-ignore", *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 128:
        pytest.skip("not a git repository")
    assert done.stdout.split() == names


def test_inpaint_writes_a_row_and_says_what_is_in_it(trained: Path) -> None:
    picture(trained / "seven.png"), picture(trained / "hole.png", 255)
    result = call("inpaint", NAME, "seven.png", "hole.png", "--completions", "2", "--seed", "4")
    assert result.exit_code == 0, result.stderr
    row = f"{NAME}-inpaint-seven-seed-4.png"
    assert "2 completions" in result.stdout and result.stdout.endswith(f"Written: {row}\n")
    assert (trained / row).is_file()


def test_inpaint_refuses_a_mask_of_another_size_by_name(trained: Path) -> None:
    picture(trained / "seven.png"), picture(trained / "hole.png", 255, (8, 9))
    result = call("inpaint", NAME, "seven.png", "hole.png", "--out", "row.png")
    assert result.exit_code == 1 and result.stdout == "" and result.stderr.count("\n") == 1
    assert "hole.png is 8x9 and seven.png 8x8; the mask must be 8x8 too" in result.stderr
    assert not (trained / "row.png").exists()


def test_translate_refuses_a_model_whose_chains_start_elsewhere(trained: Path) -> None:
    picture(trained / "seven.png")
    result = call("translate", NAME, "seven.png")
    assert result.exit_code == 1 and result.stdout == "" and result.stderr.count("\n") == 1
    assert "the model's chains start at noise; it takes one whose start is source" in result.stderr
    assert not list(trained.glob("*translate*"))


def test_score_ranks_what_can_be_read_and_names_the_rest(trained: Path) -> None:
    for value in (0, 90, 255):
        picture(trained / f"{value}.png", value)
    (trained / "letter.png").write_text("Dear Sir or Madam,")
    names = ["0.png", "90.png", "255.png", "letter.png", "none.png"]
    result = call("score", NAME, *names)
    assert result.exit_code == 0
    assert "log Z" in result.stdout and "centre square at 4x4, in grey" in result.stdout
    assert "left out: letter.png: it is no picture of a known format" in result.stderr
    told = json.loads(call("score", NAME, *names, "--json").stdout)
    assert {row["file"] for row in told["scores"]} == set(names[:3])
    figures = [row["f"] for row in told["scores"]]
    assert figures == sorted(figures, reverse=True)
    assert [row["rank"] for row in told["scores"]] == [1, 2, 3]
    assert [row["file"] for row in told["left_out"]] == ["letter.png", "none.png"]


def test_score_of_nothing_that_can_be_read_fails(trained: Path) -> None:
    result = call("score", NAME, "none.png", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["scores"] == []
    assert "there is no picture to score" in result.stderr


def test_python_m_flows_is_the_same_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flows", "results", "none"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("ebm: there is no experiment")
