"""Settings: typed, complete, and refused in one sentence that names the nearest right name."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from tasks.inputs import INPUTS, declared, inputs
from tasks.params_file import override
from tasks.refusals import SettingsError
from tasks.settings import Params, read, validate

ROOT = Path(__file__).parents[2]
CONTENT = yaml.safe_load((ROOT / "params.yaml").read_text())
NAME = "multigrid-digits-joint"
SEEDS = "anomaly-mnist-4"  # learned again with other seeds
ALONE = {**CONTENT, "experiments": {NAME: CONTENT["experiments"][NAME]}}  # it needs no reference


def leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found: list[tuple[str, ...]] = []
    for key, item in items:
        here = (*path, str(key))
        found += leaves(item, here) if isinstance(item, dict | list) else [here]
    return found


def message(changes: dict[str, Any]) -> str:
    with pytest.raises(SettingsError) as caught:
        validate(override(CONTENT, changes))
    return str(caught.value)


def one_sentence(text: str) -> bool:
    return "\n" not in text and len(text) < 300 and "Error" not in text and "pydantic" not in text


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("seed", -1, ["seed is -1", "greater than or equal to 0"]),
        ("seed", "many", ["seed is 'many'", "integer"]),
        ("device", "tpu", ["device is 'tpu'", "'cpu' or 'gpu'"]),
        ("learner", "multigird", ["no learner 'multigird'", "did you mean multigrid?"]),
        ("learner", ["multigrid"], ["learner is ['multigrid']", "string"]),
        ("dataset", "digit", ["dataset is 'digit'", "did you mean digits?"]),
        ("final", "jiont", ["final is 'jiont'", "joint"]),
        ("threads", 0, ["threads is 0"]),
        ("train.joint.below", "nothing", ["train.joint.below is 'nothing'", "null or an earlier"]),
        ("train.joint.fit.batch", 1, ["train.joint.fit.batch is 1"]),
        ("train.joint.fit.average", 1.0, ["average is 1.0", "less than 1"]),
        ("train.joint.fit.gap_limit", float("nan"), ["gap_limit is nan", "finite"]),
        ("train.joint.model.grids.0.steps", 0, ["train.joint.model.grids.0.steps is 0"]),
        ("train.joint.model.grids.0.size", 3, ["sizes [3, 4, 8]", "larger multiple"]),
        ("train.joint.model.grids", [], ["grids", "at least 1"]),
        (
            "apply.inpaint.masks.0",
            "helf",
            ["apply.inpaint.masks.0 is 'helf'", "half, block, pixels or a rect"],
        ),
        ("apply.inpaint.masks.0", {"name": "a"}, ["apply.inpaint.masks.0: box is missing"]),
        ("apply.inpaint.masks.0", {"name": "a", "bx": 1}, ["unknown key bx; did you mean box?"]),
        (
            "apply.inpaint.masks.0",
            {"name": "a", "box": [0, 0, 2, 1]},
            ["apply.inpaint.masks.0: box.2 is 2"],
        ),
        (
            "apply.inpaint.masks.0",
            {"name": "a", "box": [0.5, 0, 0.6, 1]},
            ["box is [0.5, 0.0, 0.6, 1.0]"],
        ),
        (
            "apply.inpaint.masks.0",
            {"name": "a", "box": [0, 0, 0.1, 0.01]},
            ["hides no pixel of a 8x8"],
        ),
        ("apply.inpaint.masks.0", "block", ["masks has block more than once"]),
        ("apply.inpaint.masks.0", {"name": "moments_a", "box": [0, 0, 1, 0.5]}, ["moments_a, wh"]),
        ("apply.inpaint.images", 0, ["apply.inpaint.images is 0"]),
        ("apply", {}, ["apply: none is given; give one of inpaint, interpolate"]),
        ("apply", {"inpiant": {}}, ["unknown key", "apply.inpiant; did you mean inpaint?"]),
        ("apply", {"long_chains": {"chain": 2}}, ["apply.long_chains.chain; did you mean chains?"]),
        (
            "apply",
            {"long_chains": {"chains": 2, "times": 100}},
            ["apply.long_chains is given", "multigrid has no single chain", "leave it out"],
        ),
        ("sample", None, ["sample is None"]),
    ],
)
def test_wrong_value_is_named_with_what_would_be_right(
    key: str, value: Any, words: list[str]
) -> None:
    said = message({f"experiments.{NAME}.{key}": value})
    assert one_sentence(said)
    for word in [NAME, *words]:
        assert word in said


@pytest.mark.parametrize(
    ("place", "wrong", "right"),
    [
        ((), "experimnts", "experiments"),
        (("datasets", "digits"), "validaton", "validation"),
        (("experiments", NAME), "thread", "threads"),
        (("experiments", NAME, "sample"), "cuont", "count"),
        (("experiments", NAME, "train", "joint"), "bellow", "below"),
        (("experiments", NAME, "train", "joint", "fit"), "udpates", "updates"),
        (("experiments", NAME, "train", "joint", "model"), "chanels", "channels"),
        (("experiments", NAME, "train", "joint", "model", "grids", 0), "stepsize", "step_size"),
    ],
)
def test_unknown_key_is_named_with_the_nearest(
    place: tuple[str | int, ...], wrong: str, right: str
) -> None:
    content = override(CONTENT, {})
    group = content
    for step in place:
        group = group[step]
    group[wrong] = 1
    with pytest.raises(SettingsError, match=f"key .*{wrong}; did you mean {right}") as caught:
        validate(content)
    assert one_sentence(str(caught.value))


NAMED = [leaf for leaf in leaves(CONTENT["experiments"][NAME]) if not leaf[-1].isdigit()]


@pytest.mark.parametrize("leaf", [n for n in NAMED if n[0] != "goals"], ids=".".join)
def test_no_setting_can_be_left_out(leaf: tuple[str, ...]) -> None:
    content = override(CONTENT, {})
    group = content["experiments"][NAME]
    for step in leaf[:-1]:
        group = group[int(step) if isinstance(group, list) else step]
    del group[leaf[-1]]
    with pytest.raises(SettingsError, match=f"{leaf[-1]} is missing"):
        validate(content)


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-10, 10),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@effort(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(leaves(CONTENT)), JUNK)
def test_any_value_anywhere_is_taken_or_refused_in_one_sentence(
    leaf: tuple[str, ...], value: Any
) -> None:
    try:
        assert isinstance(validate(override(CONTENT, {".".join(leaf): value})), Params)
    except SettingsError as error:
        assert one_sentence(str(error)), str(error)


@pytest.mark.parametrize(
    ("raw", "words"),
    [("/etc", "inside the project"), ("../data", "inside the project")],
)
def test_raw_data_cannot_lie_outside_the_project(raw: str, words: str) -> None:
    assert words in message({"datasets.digits.raw": raw})


def test_unknown_source_is_refused_with_the_nearest() -> None:
    assert "did you mean digits?" in message({"datasets.digits.source": "digts"})


def test_a_stage_like_another_has_its_settings_and_a_seed_of_its_own() -> None:
    stage = f"experiments.{SEEDS}.train"
    read = validate(override(CONTENT, {f"{stage}.seed-0.fit.updates": 7})).experiments[SEEDS]
    first, again = read.train["seed-0"], read.train["seed-3"]
    assert again.fit.updates == 7 and again.seed == 3
    assert again.model_dump(exclude={"seed"}) == first.model_dump(exclude={"seed"})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed-1": {"like": "seed-9", "seed": 1}}, "seed-1.like is 'seed-9'; it must be"),
        ({"seed-1": {"like": "seed-2", "seed": 1}}, r"of its own \(seed-0\)"),
        ({"seed-0": {"like": "seed-0", "seed": 1}}, r"of its own \(there is none\)"),
        ({"seed-1": {"like": "seed-0"}}, "train.seed-1.seed is missing"),
        ({"seed-1": {"like": "seed-0", "seed": 1, "fit": {}}}, "unknown key train.seed-1.fit"),
        ({"seed-1": {"like": ["seed-0"], "seed": 1}}, "train.seed-1.like is"),
    ],
)
def test_a_stage_is_like_one_with_settings_of_its_own(changes: dict[str, Any], words: str) -> None:
    train = {f"experiments.{SEEDS}.train.{name}": stage for name, stage in changes.items()}
    with pytest.raises(SettingsError, match=words):
        validate(override(CONTENT, train))


@pytest.mark.parametrize("learner", ["introspective-mnist", "latent-mnist", "coarse-to-fine-mnist"])
def test_only_chains_that_know_a_spectrum_may_be_coloured(learner: str) -> None:
    content = copy.deepcopy(CONTENT)
    experiment = content["experiments"][learner]
    model = experiment["train"][experiment["final"]]["model"]
    (model.get("chain") or model["prior"]["chain"])["coloured"] = True
    with pytest.raises(SettingsError, match="chain.coloured"):
        validate(content)


def test_override_of_a_stage_like_another_names_that_one() -> None:
    key = f"experiments.{SEEDS}.train.seed-1.fit.updates"
    with pytest.raises(SettingsError, match="train.seed-1 is like seed-0: change that one"):
        override(CONTENT, {key: 7})


def test_override_names_the_nearest_key() -> None:
    for key in ("sed", "sed.joint"):
        with pytest.raises(SettingsError, match=rf"did you mean experiments\.{NAME}\.seed\?"):
            override(CONTENT, {f"experiments.{NAME}.{key}": 1})
    with pytest.raises(SettingsError, match=r"unknown key .*\.upates; did you mean updates\?"):
        validate(override(CONTENT, {f"experiments.{NAME}.train.joint.fit.upates": 1}))
    with pytest.raises(SettingsError, match="has no key experiments.*grids.9.steps"):
        override(CONTENT, {f"experiments.{NAME}.train.joint.model.grids.9.steps": 1})


def test_override_adds_a_setting_that_was_left_out() -> None:
    key = f"experiments.{NAME}.train.joint.fit.warm_up"
    changed = override(CONTENT, {key: 3})
    assert validate(changed).experiments[NAME].train["joint"].fit.warm_up == 3
    assert "warm_up" not in CONTENT["experiments"][NAME]["train"]["joint"]["fit"]


@pytest.mark.parametrize(
    "key",
    [
        "experiments.other",
        f"experiments.{NAME}.clasify",
        "experiments.frame-faces.classify",
        f"experiments.{NAME}.train.learn",
        f"experiments.{NAME}.goals.kdi",
        f"experiments.{NAME}.apply.hopfield",
        "experiments.shortrun-cifar10.apply.reconstruct.other",
    ],
)
def test_override_adds_nothing_that_dvc_has_no_line_for(key: str) -> None:
    with pytest.raises(SettingsError, match="params.yaml has no key"):
        override(CONTENT, {key: {}})


def test_override_changes_one_value_of_a_copy() -> None:
    key = f"experiments.{NAME}.train.joint.model.grids.1.steps"
    changed = override(CONTENT, {key: 77})
    assert changed["experiments"][NAME]["train"]["joint"]["model"]["grids"][1]["steps"] == 77
    assert CONTENT["experiments"][NAME]["train"]["joint"]["model"]["grids"][1]["steps"] != 77


def test_box_among_the_masks_is_written_back_as_it_was_given() -> None:
    box = {"name": "mouth", "box": [0.5, 0.25, 0.25, 0.5]}
    params = validate(override(CONTENT, {f"experiments.{NAME}.apply.inpaint.masks": ["half", box]}))
    apply = inputs(params, "apply", NAME).apply
    assert apply.model_dump(mode="json")["inpaint"]["masks"] == ["half", box]
    assert apply.inpaint.names() == ["half", "mouth"]


def test_application_that_is_not_asked_for_leaves_no_trace() -> None:
    apply = inputs(validate(CONTENT), "apply", NAME).apply
    assert list(apply.model_dump(mode="json")) == ["inpaint"] == list(apply.asked())


def test_what_is_hidden_in_an_image_is_not_shown_by_its_mirrored_twin() -> None:
    with pytest.raises(SettingsError, match="faces32 has mirror: an image's twin would show"):
        validate(override(CONTENT, {"experiments.abp-faces-incomplete.dataset": "faces32"}))


SHORT = "experiments.shortrun-mnist"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({f"{SHORT}.apply.reconstruct.other": "fashoin"}, "reconstruct.other is 'fashoin'; did"),
        (
            {f"{SHORT}.apply": {"inpaint": CONTENT["experiments"][NAME]["apply"]["inpaint"]}},
            "the learner maximum_likelihood cannot inpaint",
        ),
        (
            {
                f"{SHORT}.train.learn.model.network": {
                    "kind": "mlp",
                    "dim": 2,
                    "widths": [4],
                    "scale": 1.0,
                },
                f"{SHORT}.evaluate": {
                    "against": "test",
                    "quadrature": {"half": 4.0, "cells": 160},
                },
                f"{SHORT}.dataset": "densities-rings",
            },
            r"apply is given, and x is of shape \(2,\); it needs images",
        ),
        (
            {f"{SHORT}.apply": {"hopfield": {"chains": 4, "steps": 9}}},
            "apply.hopfield is given, and reference is null; it needs the sd of a white Gaussian",
        ),
        (
            {
                f"{SHORT}.sample": {
                    **CONTENT["experiments"]["shortrun-mnist"]["sample"],
                    "cooler": [0.5],
                }
            },
            r"sample.cooler is \[0.5\], and .* is no molecule",
        ),
    ],
)
def test_application_that_cannot_be_is_refused_by_the_settings(
    changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        validate(override(CONTENT, changes))
    assert one_sentence(str(caught.value))


def test_settings_are_frozen() -> None:
    params = validate(CONTENT)
    with pytest.raises(ValueError, match="frozen"):
        params.experiments[NAME].seed = 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1", "params.yaml is not YAML"),
        ("- 1\n", "params.yaml holds list"),
        ("", "params.yaml holds NoneType"),
        ("datasets: 3\nexperiments: {}\n", "datasets is 3"),
        ("datasets: {}\n", "experiments is missing"),
        ("datasets:\n  a: 1\n  b: 2\n  a: 3\n", "params.yaml, line 4: the key a stands at line 2"),
        ("a: {b: 1, b: 2}\n", "params.yaml, line 1: the key b stands at line 1"),
    ],
)
def test_file_that_holds_no_settings_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(SettingsError, match=words) as caught:
        read(tmp_path / "params.yaml")
    assert one_sentence(str(caught.value))


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is missing; run this in the project's folder"):
        read(tmp_path / "params.yaml")


def test_unknown_experiment_data_set_and_part_name_the_nearest() -> None:
    params = validate(CONTENT)
    with pytest.raises(SettingsError, match=f"'multigrid-digits-join'; did you mean {NAME}"):
        inputs(params, "sample", "multigrid-digits-join")
    with pytest.raises(SettingsError, match="no data set 'digts'; did you mean digits"):
        inputs(params, "prepare", "digts")
    with pytest.raises(SettingsError, match="no training stage of .* 'grid-3'; did you mean grid-"):
        inputs(params, "train", "multigrid-digits", "grid-3")


def test_stage_without_settings_does_not_exist() -> None:
    params = validate(override(CONTENT, {f"experiments.{NAME}.classify": None}))
    with pytest.raises(SettingsError, match="has no classify settings"):
        inputs(params, "classify", NAME)


def test_stage_gets_what_it_declares_and_nothing_else() -> None:
    params = validate(CONTENT)
    for stage in sorted(set(INPUTS) - {"reference"}):
        name = "digits" if stage == "prepare" else NAME
        given_inputs = inputs(params, stage, name, "joint" if stage == "train" else None)
        assert set(type(given_inputs).model_fields) == {
            key.split(".")[2] if stage != "prepare" else "dataset"
            for key in declared(stage, name, "joint")
        }
    assert declared("train", NAME, "joint")[-1] == f"experiments.{NAME}.train.joint"
    assert declared("fetch", "digits") == []
    assert declared("reference", "digits-own") == ["references.digits-own"]


REFERENCE = {
    "dataset": "digits",
    "network": "inception",
    "weights": "data/raw/inception/default_1.pt",
    "sha256": "0" * 64,
    "images": 100,
    "device": "cpu",
    "threads": 1,
}


def test_reference_is_given_as_it_is_written() -> None:
    content = {**ALONE, "references": {"digits-inception": REFERENCE}}
    params = validate(content)
    assert inputs(params, "reference", "digits-inception").model_dump() == REFERENCE
    with pytest.raises(SettingsError, match="did you mean digits-inception"):
        inputs(params, "reference", "digits-incption")
    with pytest.raises(SettingsError, match="there is no reference 'any'; there is none"):
        inputs(validate({**ALONE, "references": {}}), "reference", "any")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dataset": "faecs"}, "references.a.dataset is 'faecs'; did you mean faces"),
        ({"sha256": "7ff4"}, "references.a.sha256 is '7ff4'"),
        (
            {"weights": "../own.pt"},
            "references.a.weights: is '../own.pt'; it must be a path inside the project",
        ),
    ],
)
def test_wrong_references_are_refused_with_their_key(changes: dict, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        validate({**ALONE, "references": {"a": {**REFERENCE, **changes}}})
    assert words in str(caught.value)


def test_inception_needs_a_reference_of_the_data_set() -> None:
    content = {**ALONE, "references": {}}
    key = f"experiments.{NAME}.evaluate"
    asking = {**CONTENT["experiments"][NAME]["evaluate"], "networks": ["cnn", "inception"]}
    with pytest.raises(SettingsError, match="references has none of the data set digits"):
        validate(override(content, {key: asking}))
    validate({**override(content, {key: asking}), "references": {"a": REFERENCE}})


@pytest.mark.parametrize(
    ("fid", "count", "images", "words"),
    [
        (
            "test",
            2047,
            9000,
            f"experiments.{NAME}.sample.count, a draw of samples, has 2047 images; FID",
        ),
        (
            "train",
            2047,
            9000,
            f"experiments.{NAME}.sample.count, a draw of samples, has 2047 images",
        ),
        (
            "test",
            2048,
            9000,
            "datasets.digits.test, to which .* holds samples, has [0-9]+ images; FID",
        ),
        ("train", 2048, 4095, "references.a, of which .* asks for FID, has 2047 images"),
        ("train", 50000, 4096, ""),
    ],
)
def test_fid_of_too_few_images_is_refused_before_any_work(
    fid: str, count: int, images: int, words: str
) -> None:
    content = {**override(ALONE, {}), "references": {"a": {**REFERENCE, "images": images}}}
    experiment = content["experiments"][NAME]
    experiment["evaluate"] |= {"networks": ["cnn", "inception"], "fid": fid}
    experiment["sample"]["count"] = count
    if words:
        with pytest.raises(SettingsError, match=words):
            validate(content)
    else:
        assert validate(content).experiments[NAME].evaluate.fid == "train"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"datasets.faces.options": {"sise": 64}},
            ["datasets.faces: unknown key options.sise; did you mean size?"],
        ),
        (
            {"datasets.faces.options": {"size": 64, "sizes": 1}},
            ["datasets.faces", "unknown key options.sizes; did you mean size?"],
        ),
        ({"datasets.faces.options": None}, ["datasets.faces: options.size is missing"]),
        ({"datasets.faces.options": 64}, ["datasets.faces: options is 64"]),
        ({"datasets.faces.options.size": 93}, ["options.size is 93", "less than or equal to 92"]),
        ({"datasets.mnist.options.items": 0}, ["datasets.mnist: options.items is 0"]),
        ({"datasets.folder.options.channels": 2}, ["options.channels is 2", "1 or 3"]),
        ({"datasets.folder.raw": "../pictures"}, ["datasets.folder.raw", "inside the project"]),
        ({"datasets.faces.source": "face"}, ["no data source 'face'; did you mean faces?"]),
        ({"datasets.faces.source": "digits"}, ["the source digits has none, so leave it out"]),
    ],
)
def test_wrong_option_of_a_data_set_is_named(changes: dict[str, Any], words: list[str]) -> None:
    text = message(changes)
    assert one_sentence(text)
    assert all(word in text for word in words), text


def test_options_are_those_of_the_source_and_leave_no_trace_where_there_are_none() -> None:
    params = validate(CONTENT)
    assert params.datasets["faces"].options.size == 64
    assert params.datasets["faces"].model_dump()["options"] == {"size": 64}
    assert params.datasets["digits"].options is None
    assert "options" not in params.datasets["digits"].model_dump(mode="json")
