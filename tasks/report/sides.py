"""The two sides of a comparison, gathered from where they are: here, at a git revision, in MLflow.

A side is named NAME (the results that are here), NAME@REVISION (those that git has of a revision),
or by the id of an MLflow run, of which seven characters are enough; of a run of several experiments
RUN:NAME takes one.
"""

import io
import json
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ebm.names import hint
from tasks import lineage
from tasks.measured import FILES, checksums, strangers
from tasks.mlflow_store import RUN, flatten
from tasks.paths import Paths
from tasks.plain_yaml import Refused, parse
from tasks.report.curves import read_curves
from tasks.report.run import machine, quietly_read

UNSAID = ("about", "goals", "systems")  # words of an experiment that set nothing
FACTS = ("command", "commit", "device", "seconds")

Curves = dict[str, dict[str, list[float]]]


class Side(NamedTuple):
    """What one side has.

    Attributes:
        label: as the person named it.
        name: of the experiment.
        results: its folder of figures and pictures.
        settings: every setting by dotted key, as text.
        curves: of each training stage, columns by name.
        facts: `command`, `commit`, `device`, `seconds` and `data`, the checksum, where known.
        goals: of its experiment, by metric.
        notes: what a reader must know, a sentence each.
    """

    label: str
    name: str
    results: Path
    settings: dict[str, str]
    curves: Curves
    facts: dict[str, Any]
    goals: Mapping[str, Any]
    notes: list[str]


def gather(word: str, content: Mapping[str, Any], paths: Paths, folder: Path) -> Side:
    """Return the side of a name.

    Args:
        content: of params.yaml.
        folder: where what is not in the project's folder is put.

    Raises:
        ValueError: there is no such experiment, revision or run, or it has no results.
    """
    known = content.get("experiments", {})
    if word in known:
        return of_project(word, word, content, paths, paths)
    if "@" in word:
        name, _, revision = word.partition("@")
        return of_revision(word, name, revision, paths, folder)
    if RUN.fullmatch(word.partition(":")[0]):
        from tasks.mlflow_runs import of_run  # MLflow takes seconds

        return of_run(word, paths, folder)
    raise ValueError(
        f"there is no experiment {word!r}; {hint(word, known)} (a side is NAME, NAME@REVISION or "
        "the id of an MLflow run, seven characters or more)"
    )


def of_project(
    word: str, name: str, content: Mapping[str, Any], there: Paths, paths: Paths
) -> Side:
    """Return the side of an experiment in a folder that is laid out as a project.

    Args:
        content: of the params.yaml there.
        there: the folders with its results; those of the project, or of a revision.
    """
    results = there.results(name)
    run = quietly_read(results / "run.json")
    declared = declared_settings(content, name)
    settings = flat(run.get("settings") or declared)
    parts = list((run.get("settings") or declared).get("train", {}))
    curves, notes = find_curves(name, parts, there, paths)
    figures = [file for file in FILES if (results / file).is_file()]
    if not (run or figures or curves):
        raise ValueError(nothing(word, name, there == paths))
    others = unequal(settings, flat(declared)) if run else []
    if others:
        notes.append(
            f"params.yaml says other settings than its results are of ({', '.join(others[:3])}"
            f"{' and more' if len(others) > 3 else ''}); shown are those of the results"
        )
    if run and strangers(run, checksums(there, name)):
        notes.append("some of its figures have no complete run behind them")
    data = (run.get("data") or {}).get("sha256")
    facts = {**{key: run.get(key) for key in FACTS}, "data": data}
    facts["device"] = facts["device"] or machine(run.get("stages") or [])["device"]
    goals = (run.get("settings") or declared).get("goals") or {}
    return Side(word, name, results, settings, curves, facts, goals, notes)


def nothing(word: str, name: str, here: bool) -> str:
    """Say that an experiment has no results, and what makes or finds some."""
    if here:
        return f"{name} has no results yet; `ebm run {name}` makes them"
    return (
        f"{word} has no results: git has none of {name} at that revision; "
        f"`git log --oneline -- results/{name}` lists the revisions that have"
    )


def of_revision(word: str, name: str, revision: str, paths: Paths, folder: Path) -> Side:
    """Return the side of an experiment as git has it at a revision."""
    commit = resolve(word, revision, paths.root)
    there = Paths(folder)
    extract(paths.root, commit, ["params.yaml", "dvc.lock", f"results/{name}"], folder)
    if not there.params.is_file():
        raise ValueError(f"{word}: {revision} has no params.yaml, so it is none of this project's")
    content = fast_yaml(there.params) or {}
    known = content.get("experiments", {})
    if name not in known:
        raise ValueError(f"{word}: {revision} has no experiment {name!r}; {hint(name, known)}")
    side = of_project(word, name, content, there, paths)
    when = lineage.git(paths.root, "log", "-1", "--format=%h of %cs: %s", commit)
    return side._replace(notes=[f"{revision} is {when}", *side.notes])


def resolve(word: str, revision: str, root: Path) -> str:
    """Return the commit of a revision.

    Raises:
        ValueError: git knows none of this name, or there is no git.
    """
    plain = revision and not revision.startswith("-")
    found = plain and lineage.git(root, "rev-parse", "--verify", "-q", f"{revision}^{{commit}}")
    if found:
        return str(found)
    if lineage.commit(root) == lineage.UNKNOWN:
        raise ValueError(f"{word}: this is no git repository with a commit, so it has no revisions")
    listed = lineage.git(root, "for-each-ref", "--format=%(refname:short)")
    known = (listed or "").split()
    raise ValueError(
        f"{word}: git knows no revision {revision!r}; {hint(revision, known)}; "
        "`git log --oneline -- results` lists the revisions that have results"
    )


def extract(root: Path, commit: str, wanted: Iterable[str], folder: Path) -> None:
    """Put those files and folders that a commit has into a folder."""
    listed = lineage.git(root, "ls-tree", "--name-only", commit, "--", *wanted)
    found = (listed or "").splitlines()
    if not found:
        return
    command = ["git", "-C", str(root), "archive", "--format=tar", commit, "--", *found]
    done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    if done.returncode:
        raise ValueError(f"git cannot read {commit[:10]}: {done.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        try:
            archive.extractall(folder, filter="data")  # refuses what would lie outside
        except tarfile.FilterError as error:
            raise ValueError(f"{commit[:10]} is not read: {error}") from None


def fast_yaml(path: Path) -> Any:
    """Return the content of a file of YAML.

    Raises:
        ValueError: it is no text, no YAML, or holds more than data.
    """
    try:
        return parse(path.read_text("utf-8"))
    except Refused as error:
        raise ValueError(f"{path.name} {error}") from None


def declared_settings(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return an experiment's settings and its data's, by the content of a params.yaml.

    One that this code no longer takes is read as it is written.
    """
    from tasks.settings import validate

    try:
        params = validate(content)
        made = params.experiments[name]
        data = params.datasets[made.dataset].model_dump(mode="json")
        return {**made.model_dump(mode="json"), "data": data}
    except ValueError:
        raw = content["experiments"][name]
        return {**raw, "data": content.get("datasets", {}).get(raw.get("dataset"), {})}


def flat(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return settings as text by dotted key, as MLflow keeps them."""
    every = flatten({k: v for k, v in settings.items() if k not in UNSAID})
    return {key: str(value) for key, value in every.items()}


def unequal(a: Mapping[str, str], b: Mapping[str, str]) -> list[str]:
    """Return the keys whose values differ, in order."""
    return [key for key in dict.fromkeys([*a, *b]) if a.get(key) != b.get(key)]


def find_curves(
    name: str, parts: Iterable[str], there: Paths, paths: Paths
) -> tuple[Curves, list[str]]:
    """Return the curves of each training stage, and a sentence about those that are not here.

    They are in the model's folder or, where that is not checked out, in DVC's cache.
    """
    files = {part: there.model(name, part) / "curves.csv" for part in parts}
    absent = [part for part, file in files.items() if not file.is_file()]
    if absent:
        files.update(from_cache(name, absent, there.root / "dvc.lock", paths.root))
    curves, notes = {}, []
    for part, file in files.items():
        if not file.is_file():
            notes.append(f"the curves of {part} are not here: {fetching(name, part, there, paths)}")
            continue
        try:
            curves[part] = read_curves(file)
        except (OSError, ValueError) as error:
            notes.append(f"the curves of {part} cannot be read: {error}")
    return curves, notes


def fetching(name: str, part: str, there: Paths, paths: Paths) -> str:
    """Say how the curves of a training stage come here: from a remote only where there is one."""
    remote = has_remote(paths.root)
    if there == paths:
        pull = f"`dvc pull models/{name}/{part}` or " if remote else ""
        return f"{pull}`ebm run {name}` brings them"
    if remote:
        return "`dvc fetch --all-commits` brings them where a remote has them"
    return f"`ebm run {name}` where that revision is checked out brings them"


def has_remote(root: Path) -> bool:
    """Tell whether DVC knows a remote, by the settings of the project or of this machine."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            return bool(repo.config.get("remote"))
    except (OSError, DvcException):
        return False


def from_cache(name: str, parts: Iterable[str], lock: Path, root: Path) -> dict[str, Path]:
    """Return the files of curves that DVC's cache has of the models that a dvc.lock names."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    wanted = {f"models/{name}/{part}": part for part in parts}
    try:
        content = fast_yaml(lock)
        outs = [out for stage in content["stages"].values() for out in stage.get("outs", [])]
        with Repo(str(root)) as repo:
            place = repo.cache.local.oid_to_path
            found = {}
            for out in outs:
                if out["path"] in wanted and Path(place(out["md5"])).is_file():
                    listed = json.loads(Path(place(out["md5"])).read_text())
                    marks = {entry["relpath"]: entry["md5"] for entry in listed}
                    if "curves.csv" in marks:
                        found[wanted[out["path"]]] = Path(place(marks["curves.csv"]))
            return found
    except (OSError, DvcException, ValueError, LookupError, TypeError):
        return {}  # no dvc.lock there, no DVC here, or one that a kill has cut
