"""`ebm adopt`: take in a training stage that ran elsewhere, so that DVC does not train again.

Elsewhere is `python -m tasks train NAME PART` on a node with torch, numpy, pydantic and PyYAML.
"""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

from flows import lockfile
from flows.graph import all_stages, open_repo
from flows.hold import hold
from tasks.artefacts import new_folder, read_json, write_json
from tasks.inputs import inputs
from tasks.paths import Paths
from tasks.refusals import SettingsError, pick
from tasks.scratch import Scratch, fingerprint
from tasks.settings import Params, read

FILES = ("model.json", "model.pt", "curves.csv", "fingerprint")
CODE = Path(__file__).parents[1]


class Adopted(NamedTuple):
    """What was taken in."""

    part: str
    folder: Path
    address: str
    record: bool


def adopt(name: str, source: Path, part: str | None = None, paths: Paths | None = None) -> Adopted:
    """Take the folder models/NAME/PART of another machine into its place here.

    Args:
        source: the folder brought home.
        part: the training stage; None is the only one, or the one that `source` is named after.

    Raises:
        ValueError: the folder is missing, incomplete, or of other settings, data or code.
        Busy: the stage is being trained here, or another run is at work.
    """
    paths = paths or Paths()
    params = read(paths.params)
    if not source.is_dir():
        raise ValueError(f"there is no folder {source}; give models/NAME/PART, brought home")
    part = choose(params, name, source, part)
    check_files(source)
    values = inputs(params, "train", name, part)
    mark = expected(name, values, paths)
    check_mark(source, mark, f"{name} {part}")
    check_model(source)
    with hold(paths, [f"adopt {name}"]), Scratch(paths, "train", name, part, mark):
        address = put(source, name, part, paths)
        found = keep_record(source, mark, name, part, values, paths)
    return Adopted(part, paths.model(name, part), address, found)


def choose(params: Params, name: str, source: Path, part: str | None) -> str:
    """Return the training stage that a folder is of.

    Raises:
        SettingsError: there are several, and neither the option nor the folder names one.
    """
    stages = pick(params.experiments, name, "experiment").train
    if part is not None:
        pick(stages, part, f"training stage of {name}")
        return part
    folder = source.resolve().name
    if folder in stages:
        return folder
    if len(stages) == 1:
        return next(iter(stages))
    raise SettingsError(
        f"{name} has the training stages {', '.join(stages)}, and {folder!r} is none of them; "
        "say which with --part"
    )


def check_files(source: Path) -> None:
    """See that the folder is a whole trained model's."""
    links = [file for file in FILES if (source / file).is_symlink()]
    if links:
        raise ValueError(f"{source}/{links[0]} is a link; bring home the file itself")
    missing = [file for file in FILES if not (source / file).is_file()]
    if missing:
        raise ValueError(
            f"{source} lacks {', '.join(missing)}; bring home the whole folder models/NAME/PART"
        )


def expected(name: str, values: Any, paths: Paths) -> str:
    """Return the fingerprint that training here would have."""
    from tasks.reads import reads

    needed = reads("train", name, values, paths)
    for place in needed:
        if not place.exists():
            raise ValueError(f"{place} is missing, so nothing can be compared; make it first")
    return fingerprint(values, needed, CODE)


def check_mark(source: Path, mark: str, title: str) -> None:
    """See that the folder was trained as it would be here."""
    found = (source / "fingerprint").read_text().strip()
    if found != mark:
        raise ValueError(
            f"{source} has fingerprint {found[:40]}, and {title} has {mark} here: its settings, "
            "data or code differ; train it again from this commit and params.yaml"
        )


def check_model(source: Path) -> None:
    """See that the model loads."""
    from ebm.stored import load

    try:
        load(source)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"the model in {source} does not load: {error}") from None


def put(source: Path, name: str, part: str, paths: Paths) -> str:
    """Copy the model into place and have DVC take it as that stage's output.

    Whatever fails, the model that was there comes back.
    """
    target = paths.model(name, part)
    before = target.with_name(f".{part}.before")
    if before.exists() and not target.exists():  # an adoption was killed half-way
        before.rename(target)
    shutil.rmtree(before, ignore_errors=True)
    if source.resolve() == target.resolve():
        return commit(name, part, paths)
    with new_folder(target) as folder:
        for file in FILES:
            shutil.copyfile(source / file, folder / file)
        if target.exists():
            target.rename(before)
    try:
        address = commit(name, part, paths)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        if before.exists():
            before.rename(target)
        raise
    shutil.rmtree(before, ignore_errors=True)
    return address


def commit(name: str, part: str, paths: Paths) -> str:
    """Record the stage in dvc.lock as it stands, and return DVC's name of it."""
    with open_repo(paths) as repo:
        every = all_stages(repo).values()
        found = [s for s in every if (s.verb, s.name, s.part) == ("train", name, part)]
        if not found:
            raise ValueError(f"dvc.yaml has no stage train of {name} {part}; add its line there")
        repo.commit(found[0].address, force=True)
    lockfile.keep(paths)
    return found[0].address


def keep_record(source: Path, mark: str, name: str, part: str, values: Any, paths: Paths) -> bool:
    """Keep the run's record, if one came along or is here; else note what is known.

    Returns:
        Whether the record has the time that the run took.
    """
    places = [source / "run.json"]
    if len(source.resolve().parents) > 2:  # the whole project was brought home
        places.append(Paths(source.resolve().parents[2]).record("train", name, part))
    for place in places:
        record = record_of(place, mark)
        if record:
            write_json(paths.record("train", name, part), {**record, "adopted": True})
            return "seconds" in record
    present = record_of(paths.record("train", name, part), mark)
    if present:
        return "seconds" in present
    write_json(
        paths.record("train", name, part),
        {
            "stage": "train",
            "name": name,
            "part": part,
            "command": f"python -m tasks train {name} {part}",
            "fingerprint": mark,
            "settings": values.model_dump(mode="json"),
            "adopted": True,
        },
    )
    return False


def record_of(place: Path, mark: str) -> dict[str, Any]:
    """Return a record of this very run, empty where there is none."""
    try:
        record = read_json(place)
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) and record.get("fingerprint") == mark else {}
