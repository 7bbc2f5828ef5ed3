import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tasks.artefacts import read_json, save_arrays, write_json
from tasks.measured import checksums, strangers
from tasks.paths import Paths
from tasks.refusals import SettingsError
from tasks.report import curves, figures, pictures, render
from tasks.report.figures import number, position, relation, summary
from tasks.report.run import ORIGIN, Stage
from tasks.settings import inputs, read

ROOT = Path(__file__).parents[2]
NAME = "multigrid-digits-joint"
EVIL = '</script><img src=x onerror="alert(1)">'

METRIC = {
    "metric": "frechet_digits",
    "value": 41.25,
    "spread": 0.5,
    "floor": 14.5,
    "ceiling": 2121.0,
    "better": "lower",
    "samples": 1000,
    "seeds": 3,
    "about": f"One sentence {EVIL}.",
}
RIVALS = [
    {"metric": "frechet_digits", "of": "coarser grid, upsampled", "value": 66.5},
    {"metric": "frechet_digits", "of": "Gaussian", "value": 55.125},
]


def scores(*rows, rivals=()):
    return {
        "experiment": NAME,
        "protocol": "How it was measured.",
        "metrics": list(rows),
        "compared": list(rivals),
    }


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (20, 20), 90).save(path)


@pytest.fixture
def paths(tmp_path):
    """A project with its settings and nothing else."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["experiments"][NAME]["about"] = f"Digits & more {EVIL}"
    params["experiments"][NAME]["sample"]["keep"] = 5
    for grid in params["experiments"][NAME]["train"]["joint"]["model"]["grids"]:
        grid["steps"] = 30
    params["experiments"][NAME]["goals"] = {
        "frechet_digits": {"seed_figure": "3.5 in print", "goal": 30.75}
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    return Paths(tmp_path)


@pytest.fixture
def full(paths):
    """A project in which every stage left something."""
    results = paths.results(NAME)
    write_json(results / "metrics.json", scores(METRIC, rivals=RIVALS))
    row = {**METRIC, "metric": "error_20_labels", "value": 33.125, "spread": None}
    write_json(results / "classify.json", scores(row))
    write_json(results / "apply.json", scores({**row, "metric": "inpaint_mse", "value": 0.7517}))
    for file in ("samples/grid_1", "samples/grid_8", "classify/few_labels", "apply/half"):
        picture(results / f"{file}.png")
    for stage in (Stage("prepare", "digits"), Stage("train", NAME, "joint"), Stage("sample", NAME)):
        record(paths, stage)
    paths.samples(NAME).mkdir(parents=True)
    shapes = {1: (1, 25, 1, 1, 1), 2: (7, 25, 1, 2, 2), 8: (7, 25, 1, 8, 8)}
    arrays = {f"grid_{s}": np.zeros(shape, np.float32) for s, shape in shapes.items()}
    save_arrays(paths.samples(NAME) / "chains.npz", **arrays)
    model = paths.model(NAME, "joint")
    model.mkdir(parents=True)
    (model / "curves.csv").write_text("step,8/gap,8/sd_data\n1,0.5,0.25\n2,nan,0.25\n3,0.7,0.2\n")
    manifest = {"title": "Digits", "raw": {"digits.csv.gz": "ab12"}, "sizes": {"train": 3}}
    write_json(paths.prepared("digits") / "manifest.json", manifest)
    lock = {
        "sample@multigrid-digits-joint": {
            "cmd": f"python -m tasks sample {NAME}",
            "outs": [{"path": f"samples/{NAME}", "md5": "d41d8cd9.dir"}],
        },
        "sample@other": {"cmd": "python -m tasks sample other", "outs": []},
    }
    (paths.root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": lock}))
    return paths


def record(paths, stage, **changes):
    settings = inputs(read(paths.params), *stage).model_dump(mode="json")
    facts = {
        "stage": stage.stage,
        "name": stage.name,
        "part": stage.part,
        "command": stage.command,
        "seconds": 30.0,
        "device": "cpu",
        "device_name": "a processor",
        "settings": settings,
        **changes,
    }
    if stage.stage == "train":
        event = {"step": 2, "back_to": 1, "reason": "the gap ran away"}
        facts.update(verdict="healthy", evidence="grid 8: gap 0.1", events=[event])
    write_json(paths.record(*stage), facts)


class Links(HTMLParser):
    """Collects every src and href, and whether each picture is described."""

    def __init__(self, page):
        super().__init__()
        self.links, self.silent, self.tags = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        self.links += [given[key] for key in ("src", "href") if key in given]
        if tag == "img" and "alt" not in given:
            self.silent.append(given)


def page_of(paths, **more):
    return render(NAME, paths, **more).read_text()


def test_page_asks_for_nothing_outside_itself(full):
    page = page_of(full)
    links = Links(page).links
    assert links
    assert all(link.startswith(("data:", "#")) for link in links)
    assert "@import" not in page
    assert not re.search(r"url\(", page)
    assert "default-src 'none'" in page
    assert len(page) < 3_000_000


def test_every_figure_stands_on_the_page(full):
    page = page_of(full)
    shown = [41.25, 14.5, 2121.0, 66.5, 55.125, 33.125, 0.7517, 30.75]
    assert [value for value in shown if f">{number(value)}" not in page] == []
    assert "± 0.5" in page
    assert "3.5 in print" in page


def test_every_part_is_there_and_nothing_is_missing(full):
    for stage in ("evaluate", "classify", "apply"):
        record(full, Stage(stage, NAME))
    page = page_of(full)
    parts = [
        "metrics",
        "samples",
        "chains",
        "curves",
        "classify",
        "apply",
        "lineage",
        "settings",
        "repeat",
    ]
    assert [part for part in parts if f'<section id="{part}">' not in page] == []
    assert "What is missing" not in page
    assert Links(page).silent == []
    assert "Langevin step 10 of 30" in page
    assert "Rolled back at iteration 2 to 1: the gap ran away" in page
    assert "d41d8cd9.dir" in page
    assert f"ebm run {NAME}" in page


def test_empty_project_names_what_is_missing_and_its_command(paths):
    page = page_of(paths)
    for what, stage in {
        "the metrics": "evaluate",
        "samples": "sample",
        "the chains step by step": "sample",
        "the curves of joint": "train",
        "the inpainting": "apply",
        "the pictures of classify": "classify",
    }.items():
        line = rf"<strong>{what}</strong>.*<code>ebm run {NAME} --only {stage}"
        assert re.search(line, page), what
    assert "not known how good the samples are" in page
    assert str(paths.root) not in page


@pytest.mark.parametrize(
    "file",
    ["results/{}/metrics.json", "samples/{}/chains.npz", "models/{}/joint/curves.csv"],
)
def test_damaged_file_is_named_and_the_rest_is_shown(full, file):
    place = full.root / file.format(NAME)
    place.write_text('{"cut of')
    page = page_of(full)
    assert "cannot be read" in page
    assert place.name in page
    assert '<section id="samples">' in page
    assert str(full.root) not in page


def test_text_is_escaped(full):
    stage = Stage("train", NAME, "joint")
    record(full, stage)
    facts = read_json(full.record(*stage))
    facts["events"][0]["reason"] = EVIL
    write_json(full.record(*stage), facts)
    page = page_of(full)
    assert EVIL not in page
    assert "&lt;/script&gt;" in page
    assert Links(page).tags.count("script") == page.count("</script>")


def test_a_learner_without_grids_has_curves_and_chains(full):
    (full.model(NAME, "joint") / "curves.csv").write_text("step,gap,own\n1,0.5,3\n")
    page = page_of(full)
    assert "Energy gap" in page
    assert "figure of this learner" in page
    made = pictures.chains({"grid_8": np.zeros((3, 4, 3, 8, 8))}, {}, 5)
    assert made[0]["captions"][-1] == "Grid 8 × 8, state 2 of 2"


def test_run_json_has_its_keys(full):
    flow = {"prefect_run": "p-1", "mlflow_run": "m-1", "command": f"ebm run {NAME} --force"}
    render(NAME, full, flow)
    run = read_json(full.results(NAME) / "run.json")
    assert run["command"] == f"ebm run {NAME} --force"
    assert (run["prefect_run"], run["mlflow_run"]) == ("p-1", "m-1")
    assert (run["device"], run["seconds"]) == ("cpu", 90.0)
    assert run["data"]["sha256"] == "ab12"
    assert run["settings"]["train"]["joint"]["model"]["grids"]
    outs = {f"samples/{NAME}": "d41d8cd9.dir"}
    assert run["dvc"] == {f"sample@{NAME}": {"deps": {}, "outs": outs}}
    assert [r["label"] for r in run["stages"]] == ["prepare", "train-joint", "sample"]
    assert run["commit"] == "unknown"
    render(NAME, full)
    assert read_json(full.results(NAME) / "run.json")["command"] == f"ebm run {NAME} --force"


def test_settings_of_one_run_are_those_of_the_page(full):
    flow = {
        "overrides": {f"experiments.{NAME}.seed": 41},
        "command": f"ebm run {NAME} --set seed=41",
    }
    assert "seed: 41" in page_of(full, flow=flow)
    assert "--set" not in page_of(full)


def test_a_report_written_again_keeps_the_origin_of_the_figures_and_vouches_for_no_new_ones(full):
    place = full.results(NAME) / "run.json"
    render(NAME, full, {"command": f"ebm run {NAME} --force"})
    first = read_json(place)
    assert first["figures"] == checksums(full, NAME)
    assert sorted(first["figures"]) == ["apply.json", "classify.json", "metrics.json"]
    record(full, Stage("train", NAME, "joint"), seconds=999.0)
    render(NAME, full)
    assert {key: read_json(place)[key] for key in ORIGIN} == {key: first[key] for key in ORIGIN}
    write_json(full.results(NAME) / "metrics.json", scores({**METRIC, "value": 7.0}))
    render(NAME, full)
    assert read_json(place)["command"] == f"ebm run {NAME}"
    assert strangers(read_json(place), checksums(full, NAME))
    render(NAME, full, {"command": "ebm run"})
    assert not strangers(read_json(place), checksums(full, NAME))


def test_run_json_knows_the_commit_and_whether_files_differ(full):
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "all"]):
        subprocess.run(["git", "-C", str(full.root), *words], check=True)
    render(NAME, full)
    run = read_json(full.results(NAME) / "run.json")
    assert re.fullmatch("[0-9a-f]{40}", run["commit"])
    assert run["dirty"] is False
    with full.params.open("a") as file:
        file.write("# changed\n")
    assert "with changes not committed" in page_of(full)


def test_record_survives_a_second_render_without_it(full):
    stage = Stage("train", NAME, "joint")
    record(full, stage, mlflow_run="m-7")
    render(NAME, full)
    full.record(*stage).unlink()
    page = page_of(full)
    kept = {r["label"]: r for r in read_json(full.results(NAME) / "run.json")["stages"]}
    assert kept["train-joint"]["mlflow_run"] == "m-7"
    assert "m-7" in page
    assert "healthy" in page


def test_record_of_other_settings_is_marked_or_replaced_by_the_right_one(full):
    render(NAME, full)
    stage = Stage("sample", NAME)
    right = read_json(full.record(*stage))
    wrong = {**right, "seconds": 1.0, "settings": {**right["settings"], "seed": 99}}
    write_json(full.record(*stage), wrong)
    render(NAME, full)
    kept = {r["label"]: r for r in read_json(full.results(NAME) / "run.json")["stages"]}
    assert kept["sample"]["seconds"] == 30.0
    (full.results(NAME) / "run.json").unlink()
    assert "this record is of a run with other settings" in page_of(full)


def test_cut_off_lock_file_costs_the_hashes_alone(full):
    (full.root / "dvc.lock").write_text("schema: '2.0'\nstages:\n  sample@x: {cmd: [")
    assert "no stage of this experiment is in dvc.lock" in page_of(full)


def test_unknown_experiment_is_refused_and_nothing_is_written(paths):
    with pytest.raises(SettingsError, match="multigrid-digits-joint"):
        render("multigrid-digits-join", paths)
    assert not (paths.root / "results").exists()


def test_summary_says_plainly_what_is_not_beaten():
    rows = figures.table(scores(METRIC, rivals=RIVALS), {})
    assert summary(rows)["beaten"]
    worse = figures.table(scores({**METRIC, "value": 60.0}, rivals=RIVALS), {})
    said = summary(worse)
    assert not said["beaten"]
    assert "do not beat everything" in said["head"]
    assert "Not beaten: Gaussian (55.12). Beaten: coarser grid, upsampled (66.5)" in said["text"]
    none = summary(figures.table(scores({**METRIC, "value": 99.0}, rivals=RIVALS), {}))
    assert "beat nothing" in none["head"]


@pytest.mark.parametrize(
    ("better", "value", "word"),
    [
        ("lower", 60.0, "better"),
        ("lower", 40.0, "worse"),
        ("lower", 41.5, "no clear difference"),
        ("lower", 14.5, "reference"),
        ("lower", 10.0, "beyond"),
        ("higher", 60.0, "worse"),
        ("higher", 40.0, "better"),
        ("higher", 2121.0, "reference"),
    ],
)
def test_relation_follows_the_direction_and_the_spread(better, value, word):
    assert relation({**METRIC, "better": better}, value) == word


def test_bar_runs_from_floor_to_ceiling():
    line = {"floor": 10.0, "ceiling": 20.0}
    assert [position(line, v) for v in (5.0, 10.0, 15.0, 20.0, 30.0)] == [0, 0, 50, 100, 100]
    decades = {"floor": 1.0, "ceiling": 100.0}
    assert position(decades, 10.0) == 50.0
    assert position({"floor": None, "ceiling": 1.0}, 0.5) is None


def test_thinned_curves_keep_their_mean_and_their_end():
    steps = [float(k) for k in range(1, 1001)]
    made = curves.panels({"step": steps, "8/gap": steps})
    values = made["panels"][0]["series"][0]["values"]
    assert len(values) <= curves.POINTS
    assert made["steps"][-1] == 1000
    assert values[0] == (1 + made["bin"]) / 2
    assert curves.thin([1.0, float("inf")], 1) == [1.0, None]


def test_sprite_has_a_row_a_state_and_a_column_a_chain(tmp_path):
    states = np.full((2, 3, 1, 4, 4), -1.0)
    states[1, 2] = 1.0
    (tmp_path / "a.png").write_bytes(pictures.sprite(states))
    pixels = np.asarray(Image.open(tmp_path / "a.png"))
    assert pixels.shape == (8, 12)
    assert pixels[4:, 8:].min() == 255
    assert pixels[:4].max() == 0


def test_large_chains_are_fewer_not_heavier():
    made = pictures.chains({"grid_64": np.zeros((7, 25, 3, 64, 64), np.float32)}, {}, 5)
    assert made[0]["chains"] == 9
