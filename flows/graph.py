"""DVC's graph and status, read once: which stages there are, what they stand on, what changed."""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ebm.names import hint
from flows import lockfile, parsed
from flows.environment import prepare_environment
from flows.locks import say_waiting
from tasks.params_file import read_yaml
from tasks.paths import Paths, label

ABSENT = "absent"
DATA = ("fetch", "prepare", "reference")  # stages that are named after no experiment
SAYING = {"deleted": "is missing", "not in cache": "is not in DVC's cache", "new": "is new"}


class Stage(NamedTuple):
    """A stage of dvc.yaml.

    Attributes:
        address: DVC's name of it.
        verb, name, part: the words of its command, `python -m tasks VERB NAME [PART]`.
        upstream: addresses of the stages whose outputs it reads.
        deps: files and folders it reads, relative to the project.
        outs: files and folders it writes.
        cmd: its command.
    """

    address: str
    verb: str
    name: str
    part: str | None
    upstream: tuple[str, ...]
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    cmd: str

    @property
    def label(self) -> str:
        """Its name within the experiment: train-grid-4."""
        return label(self.verb, self.part)


@contextmanager
def open_repo(paths: Paths, params: Path | None = None) -> Iterator[Any]:
    """Open DVC in the project's folder, its chatter silenced.

    Args:
        params: a file that DVC reads in place of params.yaml, which is not touched.

    Raises:
        ValueError: DVC refuses; one sentence, as DVC says it.
    """
    prepare_environment(paths.root)
    from dvc.exceptions import DvcException
    from dvc.fs import LocalFileSystem
    from dvc.repo import Repo

    class Overlay(LocalFileSystem):  # type: ignore[misc]
        """The local files, one of them read from another place."""

        def open(self, path: str, mode: str = "r", **options: Any) -> Any:
            """Open a file; params.yaml is read from where this run's settings are."""
            if params and "r" in mode and os.path.abspath(path) == os.path.abspath(paths.params):
                path = str(params)
            return super().open(path, mode, **options)

    logging.getLogger("dvc").setLevel(logging.CRITICAL)
    parsed.remember()
    try:
        with Repo(str(paths.root), fs=Overlay(), _wait_for_lock=True) as repo:
            say_waiting(paths, repo.lock)
            yield repo
    except DvcException as error:
        raise ValueError(f"DVC: {error}") from error


def all_stages(repo: Any) -> dict[str, Stage]:
    """Return every stage of dvc.yaml by address, each after those it stands on.

    What `dvc add` keeps, pictures.dvc, is no stage: it has no command, so nothing of it can run.
    """
    import networkx

    graph = repo.index.graph
    line = {stage.addressing: number for number, stage in enumerate(graph)}  # in dvc.yaml
    order = networkx.lexicographical_topological_sort(
        graph.reverse(copy=True), key=lambda stage: line[stage.addressing]
    )
    return {s.addressing: describe(s, graph.successors(s)) for s in order if s.cmd}


def describe(stage: Any, upstream: Iterable[Any]) -> Stage:
    """Return one of DVC's stages as ours."""
    from dvc.dependency import ParamsDependency

    command = str(stage.cmd)
    verb, name, part = [*command.split()[3:6], "", "", ""][:3]
    return Stage(
        address=stage.addressing,
        verb=verb,
        name=name,
        part=part or None,
        upstream=tuple(sorted(up.addressing for up in upstream if up.cmd)),
        deps=tuple(d.def_path for d in stage.deps if not isinstance(d, ParamsDependency)),
        outs=tuple(o.def_path for o in stage.outs),
        cmd=command,
    )


def stages_of(
    every: Mapping[str, Stage], names: Sequence[str], only: str | None = None
) -> list[Stage]:
    """Return the stages that experiments need, each after those it stands on.

    Args:
        every: all stages, as `all_stages` gives them.
        names: the experiments.
        only: an address, a verb (train) or a label (train-grid-4): those stages alone.

    Raises:
        ValueError: an experiment has no stage, or none is called `only`.
    """
    wanted: set[str] = set()
    for name in names:
        own = {s.address for s in every.values() if s.name == name and s.verb not in DATA}
        if not own:
            raise ValueError(f"dvc.yaml has no stage of {name}; add its lines there")
        wanted |= own | above(every, own)
    found = [s for s in every.values() if s.address in wanted]
    return pick(found, only) if only else found


def pick(stages: Sequence[Stage], only: str) -> list[Stage]:
    """Return the stages of an address, a verb or a label."""
    found = [s for s in stages if only in (s.address, s.verb, s.label)]
    if not found:
        known = list(dict.fromkeys(w for s in stages for w in (s.label, s.verb, s.address)))
        raise ValueError(f"there is no stage {only!r} here; {hint(only, known)}")
    return found


def above(every: Mapping[str, Stage], addresses: Iterable[str]) -> set[str]:
    """Return all that some stages stand on, however far up."""
    found: set[str] = set()
    left = list(addresses)
    while left:
        new = set(every[left.pop()].upstream) - found
        found |= new
        left += new
    return found


def status(
    repo: Any, paths: Paths, stages: Sequence[Stage], params: Path | None = None
) -> dict[str, list[str]]:
    """Return why each changed stage would run, in plain words.

    DVC's own `Repo.status` reads dvc.yaml and dvc.lock anew for each stage that is named.

    Args:
        repo: as it was opened: what has been read of it is not read again.
        params: the file read in place of params.yaml, if any.
    """
    wanted, changes = {s.address for s in stages}, {}
    with repo.lock:
        for stage in (s for s in repo.index.stages if s.addressing in wanted):
            changes.update(stage.status(check_updates=True))
    if not changes:
        return {}
    entries, content = lockfile.entries(paths), read_yaml(params or paths.params)
    return {
        stage.address: list(words(changes[stage.address], entries.get(stage.address), content))
        for stage in stages
        if stage.address in changes
    }


def words(
    changes: Sequence[Any], entry: Mapping[str, Any] | None, content: Mapping[str, Any]
) -> Iterator[str]:
    """Say the changes that DVC reports of a stage.

    Args:
        changes: an item of `Repo.status`.
        entry: what dvc.lock holds of the stage.
        content: the settings now.
    """
    if entry is None:
        yield "it has never run"
        return
    for change in changes:
        if isinstance(change, str):
            yield f"its {change.removeprefix('changed ')} changed"
            continue
        for place, state in change.get("changed deps", {}).items():
            if isinstance(state, Mapping):
                before = entry.get("params", {}).get(place, {})
                yield from (settings if place.endswith(".yaml") else revisions)(
                    place, state, before, content
                )
            else:
                yield f"{place} {SAYING.get(state, 'changed')}"
        for place, state in change.get("changed outs", {}).items():
            yield f"its output {place} {SAYING.get(state, 'was changed by hand')}"


def settings(
    place: str, keys: Iterable[str], before: Mapping[str, Any], content: Mapping[str, Any]
) -> Iterator[str]:
    """Say each single setting that changed, with its value before and now."""
    for key in keys:
        old = leaves(before[key], key) if key in before else {}
        new = leaves(parsed.at(content, key, ABSENT), key)
        for name in [*old, *(n for n in new if n not in old)]:
            was, now = old.get(name, ABSENT), new.get(name, ABSENT)
            if was != now:
                yield f"setting `{name}`: {was} -> {now}"


def revisions(
    place: str, keys: Iterable[str], before: Mapping[str, Any], content: Mapping[str, Any]
) -> Iterator[str]:
    """Say that the mathematics of a file changed."""
    for key in keys:
        was = f" (it was {before[key]})" if key in before else ""
        yield f"{place}: its {key} changed{was}"


def leaves(value: Any, key: str) -> dict[str, Any]:
    """Return every single value of a tree by its dotted key."""
    if isinstance(value, Mapping) and value:
        parts = value.items()
    elif isinstance(value, list) and value:
        parts = dict(enumerate(value)).items()
    else:
        return {key: value}
    return {k: v for name, item in parts for k, v in leaves(item, f"{key}.{name}").items()}


def would_run(
    stages: Sequence[Stage], changed: Mapping[str, Sequence[str]], force: bool = False
) -> dict[str, list[str]]:
    """Return the stages to be tried and why: the changed ones and, of these, all that follow.

    Args:
        stages: what was asked for, each after those it stands on.
        changed: reasons by address, as `status` gives them.
        force: everything that was asked for is run.
    """
    found: dict[str, list[str]] = {}
    for stage in stages:
        reasons = list(changed.get(stage.address, ["--force"] if force else []))
        reasons += [f"follows {up}" for up in stage.upstream if up in found and not reasons]
        if reasons:
            found[stage.address] = reasons
    return found
