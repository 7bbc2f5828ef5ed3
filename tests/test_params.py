"""params.yaml, dvc.yaml and what the stages read agree."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from dvc.repo import Repo
from pydantic import BaseModel

from ebm.checksum import sha256
from ebm.datasets import WEIGHTS, loader
from ebm.metrics.efficientnet import bare
from ebm.settings import Settings
from tasks.__main__ import main
from tasks.apply_settings import ALONE
from tasks.inputs import declared, inputs
from tasks.kinds import KINDS, kind_of, own_inputs
from tasks.settings import read

ROOT = Path(__file__).parents[1]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
GRAPH = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
EXPERIMENTS = PARAMS["experiments"]
SOURCES = {dataset["source"] for dataset in PARAMS["datasets"].values()}
FETCHED = {source for source in SOURCES if loader(source).SOURCE.files}  # the others: one's own
FETCHED |= set(WEIGHTS)
APART = {  # experiments whose application has a stage of its own
    alone: {name for name, e in EXPERIMENTS.items() if alone in (e.get("apply") or {})}
    for alone in ALONE
}
KIND = {name: kind_of(e["evaluate"]) for name, e in EXPERIMENTS.items()}  # None is images


def of_kind(stage: str, kind: str | None) -> set[str]:
    """Return the experiments whose stage stands in the table of a kind, or of all the others."""
    if kind:
        return {name for name, of in KIND.items() if of == kind}
    return {name for name, of in KIND.items() if own_inputs(stage, of) is None}


def stages() -> dict[str, tuple[list[str], list[str]]]:
    """Return by DVC stage its arguments and the keys of params.yaml that it declares."""
    with Repo(str(ROOT)) as repo:
        return {
            stage.addressing: (
                stage.cmd.split()[3:],
                [
                    key
                    for d in stage.params
                    if d.fs_path.endswith("params.yaml")
                    for key in d.params
                ],
            )
            for stage in repo.index.stages
        }


STAGES = stages()
Reads = set[tuple[int, str]]  # the settings that were read: object and attribute


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_loads(name: str) -> None:
    params = read(ROOT / "params.yaml")
    for part in EXPERIMENTS[name]["train"]:
        assert inputs(params, "train", name, part).train.fit.updates > 0
    assert inputs(params, "sample", name).seed == EXPERIMENTS[name]["seed"]
    assert (
        inputs(params, "evaluate", name).evaluate.against
        == EXPERIMENTS[name]["evaluate"]["against"]
    )


@pytest.mark.parametrize("stage", STAGES)
def test_stage_declares_exactly_the_settings_that_it_is_given(stage: str) -> None:
    arguments, keys = STAGES[stage]
    kind, like = KIND.get(arguments[1]), None
    if arguments[0] == "train":
        like = EXPERIMENTS[arguments[1]]["train"][arguments[2]].get("like")
    assert {*keys} == {*declared(*arguments, kind=kind, like=like)}


def test_every_stage_of_every_experiment_is_in_the_graph() -> None:
    wanted = {("prepare", name) for name in PARAMS["datasets"]}
    wanted |= {("fetch", source) for source in FETCHED}
    wanted |= {("reference", name) for name in PARAMS["references"]}
    for name, experiment in EXPERIMENTS.items():
        wanted |= {("train", name, part) for part in experiment["train"]}
        optional = [s for s in ("classify", "apply") if experiment.get(s)]
        wanted |= {(stage, name) for stage in ["sample", "evaluate", *optional]}
    assert {tuple(arguments) for arguments, _ in STAGES.values()} == wanted


def test_training_table_of_the_graph_agrees_with_the_settings() -> None:
    tables = [GRAPH[name]["foreach"] for name in GRAPH if name.startswith("train")]
    for key, row in (item for table in tables for item in table.items()):
        experiment = EXPERIMENTS[row["name"]]
        assert key == f"{row['name']}-{row['stage']}"
        assert row["dataset"] == experiment["dataset"], key
        if "over" not in row:  # a table of a kind, whose learner and data are the same for all
            assert row.keys() == {"name", "stage", "dataset"}
            continue
        for field in ("learner", "network"):
            assert row[field] == experiment[field], f"{key}: {field}"
        below = experiment["train"][row["stage"]]["below"]
        data = f"data/prepared/{row['dataset']}/manifest.json"
        filters = experiment["train"][row["stage"]]["model"].get("network", {}).get("weights")
        if source := experiment["train"][row["stage"]].get("source"):
            data = f"data/prepared/{source}"
        assert row["over"] == (f"models/{row['name']}/{below}" if below else filters or data)


def test_evaluate_stands_beside_the_reference_where_the_settings_name_inception() -> None:
    table = GRAPH["evaluate"]["foreach"]
    assert set(table) == of_kind("evaluate", None)
    for name, row in table.items():
        dataset = EXPERIMENTS[name]["dataset"]
        slow = "inception" in EXPERIMENTS[name]["evaluate"].get("networks", ())
        beside = "reference/%s/inception" if slow else "prepared/%s/manifest.json"
        assert row == {"dataset": dataset, "beside": f"data/{beside % dataset}"}, name


@pytest.mark.parametrize(
    ("stage", "kind"), [(stage, name) for name, kind in KINDS.items() for stage in kind.inputs]
)
def test_kinds_have_stages_of_their_own_beside_what_the_settings_name(
    stage: str, kind: str
) -> None:
    table = GRAPH[f"{stage}-{kind}"]["foreach"]
    assert set(table) == of_kind(stage, kind)
    for name, row in table.items():
        for field in set(row) - {"also", "beside"}:
            assert row[field] == EXPERIMENTS[name][field], f"{stage}-{kind}@{name}: {field}"


@pytest.mark.parametrize("stage", ["sample", "classify", "apply"])
def test_other_tables_of_the_graph_agree_with_the_settings(stage: str) -> None:
    more = GRAPH.get(f"{stage}-latent", {"foreach": {}})["foreach"] if stage == "sample" else {}
    table = {**GRAPH[stage]["foreach"], **more}
    wanted = {name for name in of_kind(stage, None) if EXPERIMENTS[name].get(stage)}
    assert set(table) == wanted - (set.union(*APART.values()) if stage == "apply" else set())
    for name, row in table.items():
        for field in set(row) - {"beside", "also"}:
            assert row[field] == EXPERIMENTS[name][field], f"{stage}@{name}: {field}"


def test_classify_stands_beside_the_reference_where_the_settings_name_efficientnet() -> None:
    for name, row in GRAPH["classify"]["foreach"].items():
        slow = "efficientnet" in EXPERIMENTS[name]["classify"].get("networks", ())
        beside = "reference/%s/efficientnet" if slow else "prepared/%s/manifest.json"
        assert row["beside"] == f"data/{beside % row['dataset']}", name


def test_apply_stands_beside_the_other_data_set_that_the_settings_name() -> None:
    for name, row in GRAPH["apply"]["foreach"].items():
        asked = EXPERIMENTS[name]["apply"]
        other = asked.get("reconstruct", {}).get("other") or asked.get("classifier", {}).get(
            "other"
        )
        beside = other or f"{row['dataset']}/manifest.json"
        assert row["beside"] == f"data/prepared/{beside}", name


def test_translations_stand_on_the_source_and_the_model_that_the_settings_name() -> None:
    table = GRAPH["apply-translate"]["foreach"]
    assert set(table) == APART["translate"]
    for name, row in table.items():
        experiment = EXPERIMENTS[name]
        assert row["source"] == experiment["apply"]["translate"]["source"]
        for field in set(row) - {"source"}:
            assert row[field] == experiment[field], f"apply-translate@{name}: {field}"


def test_source_of_every_data_set_is_fetched_to_where_it_is_read() -> None:
    assert set(GRAPH["fetch"]["foreach"]) == FETCHED
    for dataset in PARAMS["datasets"].values():
        if dataset["source"] in FETCHED:
            assert dataset["raw"] == f"data/raw/{dataset['source']}"


def test_learner_uses_the_network_that_the_experiment_names() -> None:
    decoders = (ROOT / "ebm" / "networks" / "decoders.py").read_text()
    for experiment in EXPERIMENTS.values():
        source = (ROOT / "ebm" / "learn" / f"{experiment['learner']}.py").read_text()
        for stage in experiment["train"].values():
            if "like" in stage:
                continue
            named = stage["model"].get("network", {}).get("kind")
            if "decoder" in stage["model"]:
                assert f'import_module("ebm.networks.{experiment["network"]}")' in decoders
            elif named is None:
                assert f"from ebm.networks.{experiment['network']} import" in source
            else:
                assert named == experiment["network"]


def test_there_are_no_anchors() -> None:
    for file in ("params.yaml", "dvc.yaml"):
        tokens = yaml.scan((ROOT / file).read_text())
        marks = [t for t in tokens if isinstance(t, yaml.AnchorToken | yaml.AliasToken)]
        assert not marks, f"{file} has an anchor at {marks[0].start_mark}"


# Every leaf that a stage declares is read when it runs


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reads]:
    """The attributes of settings that are read, as (object, name)."""
    seen: Reads = set()

    def watched(self: Any, name: str) -> Any:
        seen.add((id(self), name))
        return BaseModel.__getattribute__(self, name)

    monkeypatch.setattr(Settings, "__getattribute__", watched, raising=False)
    yield seen


def leaves(value: Any, path: str = "") -> Iterator[tuple[int, str, str]]:
    """Yield (object, attribute, key) of every setting below one that is not a group itself."""
    for field in type(value).model_fields:
        item = value.__dict__[field]
        groups = item if isinstance(item, list) else [item]
        if groups and all(isinstance(group, Settings) for group in groups):
            for index, group in enumerate(groups):
                number = f".{index}" if isinstance(item, list) else ""
                yield from leaves(group, f"{path}{field}{number}.")
        else:
            yield id(value), field, path + field


def unread(reads: Reads, *arguments: str) -> set[str]:
    """Run a stage, and return the settings that it declares and did not read."""
    kept: list[Any] = []

    def keep(*given: Any) -> Any:
        kept.append(inputs(*given))
        reads.clear()  # reading them from the file does not count
        return kept[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.inputs.inputs", keep)
        patch.setattr("tasks.__main__.die_with_parent", lambda asker: None)
        main(list(arguments))
    return {key for owner, field, key in leaves(kept[0]) if (owner, field) not in reads}


def change(project: Path, old: str, new: str) -> None:
    text = (project / "params.yaml").read_text()
    assert re.search(old, text)
    (project / "params.yaml").write_text(re.sub(old, new, text))


@pytest.fixture
def at(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny project, with its data, as the working folder."""
    monkeypatch.chdir(project)
    monkeypatch.setattr("tasks.__main__.die_with_parent", lambda asker: None)
    assert main(["prepare", "digits"]) == 0
    return project


def test_prepare_reads_every_setting_that_it_declares(at: Path, reads: Reads) -> None:
    assert unread(reads, "prepare", "digits") == set()


@pytest.mark.parametrize(
    ("name", "parts"), [("tiny", ["joint"]), ("tiny-by-grid", ["grid-2", "grid-4"])]
)
def test_train_reads_every_setting_that_it_declares(
    at: Path, name: str, parts: list[str], reads: Reads
) -> None:
    for part in parts[:-1]:
        assert main(["train", name, part]) == 0
    healthy = unread(reads, "train", name, parts[-1])
    assert healthy <= {"train.fit.rollbacks", "train.fit.slow_down"}
    change(at, r"gap_limit: [\d.]+", "gap_limit: 1.0e-9")
    assert healthy & unread(reads, "train", name, parts[-1]) == set()


@pytest.mark.parametrize("stage", ["sample", "evaluate", "classify", "apply"])
def test_stage_reads_every_setting_that_it_declares(at: Path, stage: str, reads: Reads) -> None:
    for before in (["train", "tiny", "joint"], ["sample", "tiny"]):
        assert main(before) == 0
    later = {"evaluate.fid", "sample.cooler"}  # where networks has inception; of molecules alone
    assert unread(reads, stage, "tiny") <= later


EVERYTHING = """
      networks: [cnn, pixels, inception]
      kid: {subsets: 2, size: 5}
      precision_recall: {neighbours: 2}
      one_nn: true
"""
REFERENCE = """
references:
  digits-own:
    {dataset: digits, network: inception, weights: own.pt, sha256: SHA256, images: 9, device: cpu,
     threads: 1}
"""


def test_reference_and_all_of_evaluate_read_every_setting_that_they_declare(
    at: Path, reads: Reads
) -> None:
    torch.jit.script(torch.nn.AdaptiveAvgPool2d(1)).save(str(at / "own.pt"))
    change(at, r"references: \{\}", REFERENCE.replace("SHA256", sha256(at / "own.pt")))
    change(at, r"      feature_width: 4\n", r"\g<0>" + EVERYTHING.lstrip("\n"))
    assert unread(reads, "reference", "digits-own") == set()
    for before in (["train", "tiny", "joint"], ["sample", "tiny"]):
        assert main(before) == 0
    assert unread(reads, "evaluate", "tiny") == set()


PRETRAINED = """
references:
  digits-efficientnet:
    {dataset: digits, network: efficientnet, weights: random.pth, sha256: SHA256, images: 700,
     training: 200, device: cpu, threads: 1}
"""
WHOLE = """      networks: [efficientnet]
      fine_tune: {updates: 2, batch: 4, rates: [0.001, 0.01], decay: 0.01, checks: 2}
"""


def test_all_of_classify_reads_every_setting_that_it_declares(at: Path, reads: Reads) -> None:
    torch.save(bare().state_dict(), at / "random.pth")
    digest = sha256(at / "random.pth")
    change(at, r"references: \{\}", PRETRAINED.replace("SHA256", digest))
    change(at, r"    classify:\n", r"\g<0>" + WHOLE)
    assert unread(reads, "reference", "digits-efficientnet") == set()
    assert main(["train", "tiny", "joint"]) == 0
    assert unread(reads, "classify", "tiny") == set()
    written = json.loads((at / "results" / "tiny" / "classify.json").read_text())
    assert [row["metric"] for row in written["metrics"]][1:] == [
        "error_20_labels_fine_tuned",
        "margin_20_labels",
    ]
