"""run.json: where an experiment's results come from, gathered from what its stages left."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tasks import lineage
from tasks.artefacts import read_json
from tasks.experiment_settings import Experiment
from tasks.inputs import inputs
from tasks.measured import checksums, strangers
from tasks.paths import Paths, label
from tasks.plain_yaml import parse
from tasks.settings import Params

LATER = ("sample", "evaluate", "classify", "apply")
MACHINE = ("device", "device_name")
ORIGIN = ("command", "commit", "dirty", *MACHINE, "seconds", "figures")
LINKS = ("mlflow_run", "mlflow_parent", "prefect_run")  # the flow adds them to a stage's record


class Stage(NamedTuple):
    """One stage that an experiment stands on; `name` is a source, a data set or the experiment."""

    stage: str
    name: str
    part: str | None = None

    @property
    def label(self) -> str:
        """The stage's name within the experiment: train-grid-4."""
        return label(self.stage, self.part)

    @property
    def command(self) -> str:
        """What runs it."""
        return " ".join(["python -m tasks", *(word for word in self if word)])


def stages(params: Params, name: str) -> Iterator[Stage]:
    """Yield the stages of an experiment in the order in which they run."""
    experiment = params.experiments[name]
    yield Stage("fetch", params.datasets[experiment.dataset].source)
    yield Stage("prepare", experiment.dataset)
    for part in experiment.train:
        yield Stage("train", name, part)
    if "inception" in experiment.evaluate.networks:
        made = params.references.items()
        yield from (Stage("reference", k) for k, r in made if r.dataset == experiment.dataset)
    for stage in LATER:
        if getattr(experiment, stage) is not None:
            yield Stage(stage, name)


def run_facts(
    name: str, params: Params, paths: Paths, flow: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the content of run.json.

    The records of stages that did not run on this machine, or whose result came from DVC's cache,
    are kept from the run.json that is there. Without a flow, so is the origin of figures that are
    still those of that run; only a flow vouches for new ones, by their checksums in `figures`.
    """
    experiment, flow = params.experiments[name], dict(flow or {})
    old = quietly_read(paths.results(name) / "run.json")
    settings = {
        **experiment.model_dump(mode="json"),
        "data": params.datasets[experiment.dataset].model_dump(mode="json"),
    }
    records = list(merged(name, params, paths, old))
    found = checksums(paths, name)
    same = not flow and old.get("settings") == settings and not strangers(old, found)
    kept = {key: old[key] for key in ORIGIN if key in old} if same else {}
    if not kept.get("device"):  # of a run.json that did not find it; the records may say it
        kept = {key: value for key, value in kept.items() if key not in MACHINE}
    return {
        "experiment": name,
        "about": experiment.about,
        "command": flow.get("command") or f"ebm run {name}",
        "commit": lineage.commit(paths.root),
        "dirty": lineage.dirty(paths.root),
        "data": data_facts(experiment, paths),
        **machine(records),
        "seconds": round(sum(r.get("seconds") or 0 for r in records), 2),
        "figures": found if flow or same else {},
        **kept,
        "settings": settings,
        "dvc": dvc_hashes(params, name, paths),
        "dvc_lock_sha256": lineage.lock_sha256(paths.root),
        **{key: link(key, flow, records) for key in LINKS},
        "flow": flow,
        "stages": records,
    }


def merged(
    name: str, params: Params, paths: Paths, old: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield each stage's record: this machine's if its settings are today's, else the kept one.

    A record whose settings are no longer today's is marked: DVC has the result from its cache.
    """
    kept = {r.get("label"): r for r in old.get("stages", []) if isinstance(r, dict)}
    for stage in stages(params, name):
        today = settings_of(params, stage)
        found = [quietly_read(paths.record(*stage)), kept.get(stage.label, {})]
        found = [record for record in found if record]
        if found:
            best = next((r for r in found if r.get("settings") == today), found[0])
            record = {key: value for key, value in best.items() if key != "other_settings"}
            marks = {} if record.get("settings") == today else {"other_settings": True}
            yield {"label": stage.label, **record, **marks}


def machine(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return `device` and `device_name`, of the last training stage whose record says them.

    Where models came from DVC's cache, no training stage has a record; then another stage says
    them. One whose settings name no device computes on the CPU in any case, so it tells nothing.
    """
    told = [r for r in records if r.get("device") and "device" in (r.get("settings") or {})]
    trained = [r for r in told if r.get("stage") == "train"]
    best: Mapping[str, Any] = next(reversed(trained or told), {})
    return {key: best.get(key) for key in MACHINE}


def settings_of(params: Params, stage: Stage) -> dict[str, Any]:
    """Return the settings that a stage reads, as its record writes them."""
    if stage.stage == "fetch":
        return {}
    return dict(inputs(params, *stage).model_dump(mode="json"))


def data_facts(experiment: Experiment, paths: Paths) -> dict[str, Any]:
    """Return the data set's name, checksum, licence and sizes, from its manifest."""
    manifest = quietly_read(paths.prepared(experiment.dataset) / "manifest.json")
    facts = {key: manifest.get(key) for key in ("title", "licence", "credit", "sizes", "raw")}
    known = lineage.data_sha256(paths, experiment.dataset) if manifest else lineage.UNKNOWN
    return {"dataset": experiment.dataset, "sha256": known, **facts}


def dvc_hashes(params: Params, name: str, paths: Paths) -> dict[str, Any]:
    """Return DVC's md5s of the experiment's stages, by DVC's name of the stage."""
    commands = {stage.command for stage in stages(params, name)}
    try:
        content = parse((paths.root / "dvc.lock").read_text("utf-8"))
        locked = content["stages"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # cut off in the middle of a write, or nothing was run through DVC yet
    return {
        address: {
            kind: {item["path"]: item.get("md5") for item in entry.get(kind, [])}
            for kind in ("deps", "outs")
        }
        for address, entry in locked
        if entry.get("cmd") in commands
    }


def link(key: str, flow: Mapping[str, Any], records: list[dict[str, Any]]) -> Any:
    """Return an id of the flow's run, else the one that the last stage knows."""
    if flow.get(key):
        return flow[key]
    known = [r[key] for r in records if r.get(key) and r[key] != lineage.UNKNOWN]
    return None if key == "mlflow_run" or not known else known[-1]


def quietly_read(path: Any) -> dict[str, Any]:
    """Return a JSON object, empty where the file is missing or damaged."""
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
