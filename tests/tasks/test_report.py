import re
import subprocess
from copy import deepcopy
from html.parser import HTMLParser

import numpy as np
import pytest
import yaml
from PIL import Image

from tasks.artefacts import read_json, write_json
from tasks.measured import checksums, strangers
from tasks.pictures import cut, sheet
from tasks.refusals import SettingsError
from tasks.report import applied, chains, curves, figures, fills, labels, pictures, render
from tasks.report.figures import number, position, relation, summary
from tasks.report.run import ORIGIN, Stage
from tests.tasks.conftest import (
    EVIL,
    METRIC,
    NAME,
    RIVALS,
    classified,
    filled_in,
    images,
    record,
    scores,
)


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
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)
    assert "default-src 'none'" in page
    assert len(page) < 3_000_000


def test_every_figure_stands_on_the_page(full):
    page = page_of(full)
    shown = [41.25, 14.5, 2121.0, 66.5, 55.125, 33.125, 0.7517, 30.75, 3.25, 0.4375, 0.5625]
    assert [value for value in shown if f">{number(value)}" not in page] == []
    assert "± 0.5" in page
    assert "3.5 in print" in page


def test_every_part_is_there_and_nothing_is_missing(full):
    for stage in ("evaluate", "classify", "apply"):
        record(full, Stage(stage, NAME))
    page = page_of(full)
    parts = [
        "samples",
        "metrics",
        "copies",
        "chains",
        "apply",
        "classify",
        "curves",
        "lineage",
        "settings",
        "repeat",
    ]
    assert re.findall(r'<section id="(\w+)"', page) == parts
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
        "the applications": "apply",
        "the classifier&#39;s errors": "classify",
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
    made = chains.chains({"grid_8": np.zeros((3, 4, 3, 8, 8))}, {}, 5)
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


def test_device_is_of_another_stage_where_the_model_came_from_the_cache(full):
    full.record("train", NAME, "joint").unlink()
    place = full.results(NAME) / "run.json"
    render(NAME, full, {"command": f"ebm run {NAME}"})
    run = read_json(place)
    assert [r["label"] for r in run["stages"]] == ["prepare", "sample"]
    assert (run["device"], run["device_name"]) == ("cpu", "a processor")
    write_json(place, {**run, "device": None, "device_name": None, "commit": "abc"})
    render(NAME, full)  # one that was written without is mended, all else of its origin kept
    again = read_json(place)
    assert (again["device"], again["device_name"], again["commit"]) == ("cpu", "a processor", "abc")


@pytest.mark.parametrize(
    "content",
    [
        b"step,gap\ninf,1\n",
        b"step,gap\nnan,1\n",
        b"step,gap\n0,1\n",
        b"step,gap\n1,\xff\n",
        b"step,gap\n1," + b"9" * 140_000,
    ],
)
def test_curves_that_are_damaged_are_one_sentence_and_the_report_goes_on(full, content):
    path = full.model(NAME, "joint") / "curves.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"curves\.csv is no table of curves; run") as raised:
        curves.read_curves(path)
    assert "\n" not in str(raised.value)
    assert "curves.csv is no table of curves" in page_of(full)


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


def test_sprite_has_a_row_a_state_and_a_column_a_chain():
    states = np.full((2, 3, 1, 4, 4), -1.0)
    states[1, 2] = 1.0
    pixels = chains.sprite(states)
    assert pixels.shape == (8, 12)
    assert pixels[4:, 8:].min() == 255
    assert pixels[:4].max() == 0
    assert chains.sprite(np.zeros((2, 3, 3, 4, 4))).shape == (8, 12, 3)


def test_large_chains_are_fewer_not_heavier_and_keep_their_ends():
    states = {f"grid_{s}": images(7, 25, 3, s, s) for s in (4, 16, 64)}
    made = chains.chains(states, {64: 30}, 5)
    assert [grid["chains"] for grid in made] == [16, 16, 16]
    assert sum(len(grid["sprite"]) for grid in made) < 1_400_000
    long = chains.chains({"grid_64": np.zeros((101, 25, 3, 64, 64), np.float32)}, {64: 500}, 5)
    assert long[0]["chains"] == chains.FEWEST
    assert 30 < len(long[0]["captions"]) < 60
    assert long[0]["captions"][-1] == "Grid 64 × 64, Langevin step 500 of 500"


@pytest.mark.parametrize(("size", "channels"), [(1, 1), (8, 1), (32, 3), (64, 3)])
def test_sheet_is_cut_into_the_images_that_it_was_made_of(tmp_path, size, channels):
    shown = images(23, channels, size, size)
    sheet(shown, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        found = cut(np.asarray(image), size)
    assert found.shape == (3, 10, size, size, 3)
    flat = found.reshape(30, size, size, 3).transpose(0, 3, 1, 2)
    expected = np.broadcast_to((shown / 2 + 0.5) * 255, (23, 3, size, size))
    assert np.abs(flat[:23] - expected).max() <= 0.51
    assert (flat[23:] == 128).all()


def test_sheet_is_embedded_at_the_size_of_its_images_and_another_picture_whole(tmp_path):
    sheet(images(23, 1, 8, 8), tmp_path / "a.png")
    made = pictures.embed(tmp_path / "a.png", 8)
    assert (made["width"], made["height"]) == (80, 24)
    assert (made["columns"], made["rows"], made["count"]) == (10, 3, 23)
    assert "size" not in pictures.embed(tmp_path / "a.png", 7)
    Image.new("L", (20, 10), 90).save(tmp_path / "b.png")
    whole = pictures.embed(tmp_path / "b.png", 8)
    assert (whole["width"], "size" in whole) == (20, False)


def test_a_heavy_picture_is_compressed(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 3 * pictures.LARGEST
    made = pictures.embed(tmp_path / "a.png")
    assert len(made["uri"]) < 1.4 * pictures.LARGEST


def test_curve_has_a_line_for_each_kind_of_features_whichever_there_are():
    curve = labels.curve(classified())
    names = [line["name"] for line in curve["lines"]]
    own, tuned, raw, scratch = names
    assert (own, raw, scratch) == (labels.OWN, "raw pixels", "same network from scratch")
    assert "fine-tuned" in tuned
    assert [line["own"] for line in curve["lines"]] == [True, True, False, False]
    cells = {line["name"]: line["cells"] for line in curve["lines"]}
    assert [cell["value"] for cell in cells[tuned]] == [30.125, 5.5]
    assert [cell["best"] for cell in cells[tuned]] == [True, True]
    assert cells[scratch][0] == {"value": 34.125, "spread": 1.5, "best": False}
    assert cells["raw pixels"][0]["spread"] is None
    assert (curve["labels"], curve["draws"], curve["whole"]) == ([20, 200], 3, 14.5)
    gap = {"metric": "error_50_labels", "of": "raw pixels", "value": 20.0}
    more = labels.curve({**classified(), "compared": [gap]})
    assert more["labels"] == [20, 50, 200]
    assert more["lines"][0]["cells"][1] is None
    assert labels.curve(scores(METRIC)) is None


def test_margins_share_their_sentence():
    rows = labels.margins(classified()["metrics"])
    assert [(row["count"], row["value"]) for row in rows] == [(20, 3.25), (200, 3.25)]
    assert {row["about"] for row in rows} == {"Points by which it errs less on few labels."}


def test_fill_in_has_its_lines_and_its_figures_beside_it():
    lines = fills.legend(8, 4)
    assert sum(line["rows"] for line in lines) == 8
    assert lines[2] == {"text": "4 completions by the model", "rows": 4}
    assert fills.legend(7, 4) == []
    found = fills.figures(filled_in(), "half")
    assert found["columns"] == ["squared error", "PSNR, dB"]
    assert [line["name"] for line in found["lines"]][:2] == [fills.OWN, fills.BEST]
    best = [line["name"] for line in found["lines"] for cell in line["cells"] if cell["best"]]
    assert best == ["nearest training image"] * 2
    assert found["spread"]["value"] == 0.4375
    assert found["spread"]["beside"][0]["value"] == 0.5625
    assert fills.figures(filled_in(), "block") is None
    assert fills.figures(None, "half") is None


def test_a_grid_keeps_its_colour_over_the_training_stages():
    grids = []
    first = curves.panels({"step": [1.0], "2/gap": [1.0]}, grids)
    second = curves.panels({"step": [1.0], "4/gap": [1.0], "2/gap": [1.0]}, grids)
    assert first["panels"][0]["series"][0]["colour"] == 0
    assert [series["colour"] for series in second["panels"][0]["series"]] == [1, 0]


def test_other_applications_have_sections_of_their_own(full):
    rows = [{**METRIC, "metric": "moments_gap_short", "value": 0.1875}]
    rows += [{**METRIC, "metric": "long_chains_contrast_data", "value": 0.8125}]
    content = filled_in()
    write_json(full.results(NAME) / "apply.json", {**content, "metrics": content["metrics"] + rows})
    sheet(images(32, 1, 8, 8), full.results(NAME) / "apply/long_chains_data.png", columns=8)
    params = yaml.safe_load(full.params.read_text())
    learner = {**params["experiments"]["shortrun-mnist"], "dataset": "digits"}
    asked = {**learner["apply"], "reconstruct": None, "interpolate": None}
    # A copy of its own: YAML writes what is held twice as an alias, which params.yaml may not have.
    params["experiments"][NAME] = deepcopy({**learner, "apply": asked})
    full.params.write_text(yaml.safe_dump(params, sort_keys=False))
    page = page_of(full)
    assert re.findall(r'<article class="application" id="(\w+)"', page) == [
        "long_chains",
        "moments",
    ]
    assert "<h3>Moment matching</h3>" in page and f">{number(0.1875)}" in page
    assert "A column a chain from a test image" in page
    assert Links(page).silent == []


def test_each_picture_belongs_to_the_application_that_its_name_begins_with():
    names = ["half", "own_mask", "interpolate", "long_chains_noise", "momentous"]
    found = [applied.owner(name) for name in names]
    assert found == [None, None, "interpolate", "long_chains", None]
    assert applied.caption("reconstruct_fashion").startswith("A column an image of fashion")


def test_regime_stands_beside_the_judges_word(full):
    assert "<dt>Regime</dt>" not in page_of(full)
    told = {"name": "not synthesising", "evidence": "samples, by 20 steps, are unlike any data"}
    write_json(full.results(NAME) / "apply.json", {**filled_in(), "regime": told})
    page = page_of(full)
    assert '<div class="regime-not-synthesising"><dt>Regime</dt><dd>not synthesising</dd>' in page
    assert told["evidence"] in page
    assert page.index("<dt>Judge</dt>") < page.index("<dt>Regime</dt>") < page.index("<main>")


def test_temperature_of_each_chain_and_the_value_function_are_named(full):
    page = page_of(full)
    assert re.search(r"<code>joint</code> grid 8 <b>0\.0001</b>", page)
    assert "value function V = mean f(data) - mean f(samples)" in page
