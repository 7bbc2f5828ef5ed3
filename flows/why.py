"""What would rerun, and because of which setting or file; what an experiment's stages stand on."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import yaml

from tasks.mlflow_store import flatten
from tasks.paths import Paths

ABSENT = "absent"


class Standing(NamedTuple):
    """A stage of an experiment, or one that it stands on.

    Attributes:
        address: DVC's name of it.
        command: what runs it.
        over: addresses of the stages whose outputs it reads.
        reasons: why it would rerun by itself; empty where only those before it may ask for it.
        follows: stages before it that would rerun.
    """

    address: str
    command: str
    over: list[str]
    reasons: list[str]
    follows: list[str]


def standings(paths: Paths, name: str, ask: bool = True) -> list[Standing]:
    """Return the stages of an experiment and those they stand on, in the order of work.

    Args:
        ask: whether DVC is asked what changed (one to two seconds); else no reasons are given.
    """
    from dvc.repo import Repo

    with Repo(str(paths.root), _wait_for_lock=True) as repo:
        order, over, commands = stages(repo.index.graph, name)
        changed = repo.status(targets=order) if ask and order else {}
    lock = locked(paths)
    found: dict[str, Standing] = {}
    for address in order:
        reasons = list(explain(paths, address, changed.get(address, []), lock))
        follows = [up for up in over[address] if found[up].reasons or found[up].follows]
        found[address] = Standing(address, commands[address], over[address], reasons, follows)
    return list(found.values())


def stages(graph: Any, name: str) -> tuple[list[str], dict[str, list[str]], dict[str, str]]:
    """Return an experiment's addresses in the order of work, what each reads, and the commands."""
    import networkx

    data = (["fetch"], ["prepare"])  # a data set may bear an experiment's name
    own = {s for s in graph if words(s)[4:5] == [name] and words(s)[3:4] not in data}
    wanted = own.union(*(networkx.descendants(graph, stage) for stage in own))
    part = graph.subgraph(wanted).reverse(copy=True)
    order = list(networkx.lexicographical_topological_sort(part, key=lambda s: s.addressing))
    over = {s.addressing: sorted(up.addressing for up in graph.successors(s)) for s in order}
    return [s.addressing for s in order], over, {s.addressing: s.cmd or "" for s in order}


def words(stage: Any) -> list[str]:
    """Return the words of a stage's command: python -m tasks STAGE NAME [PART]."""
    return str(getattr(stage, "cmd", None) or "").split()


def locked(paths: Paths) -> dict[str, Any]:
    """Return what dvc.lock holds of each stage, empty where it cannot be read."""
    try:
        content = yaml.safe_load((paths.root / "dvc.lock").read_text())
        return dict(content["stages"])
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return {}


def explain(
    paths: Paths, address: str, changes: list[Any], lock: Mapping[str, Any]
) -> Iterator[str]:
    """Say each change that DVC reports of a stage."""
    if changes and address not in lock:
        yield "it has never run"
        return
    for change in changes:
        if isinstance(change, str):
            yield change  # "changed command"
            continue
        for place, state in change.get("changed deps", {}).items():
            if isinstance(state, Mapping):
                yield from settings(paths, place, state, lock[address])
            else:
                yield f"{place} is {state}"
        for place, state in change.get("changed outs", {}).items():
            yield f"its output {place} is {state}"


def settings(
    paths: Paths, place: str, keys: Mapping[str, str], entry: Mapping[str, Any]
) -> Iterator[str]:
    """Say each setting of a file that changed, with the value before and now."""
    before = entry.get("params", {}).get(place, {})
    if not place.endswith((".yaml", ".yml")):
        for key in keys:
            yield f"{place}: {key} changed (it was {before.get(key, ABSENT)})"
        return
    content = yaml.safe_load((paths.root / place).read_text())
    for key in keys:
        old = flatten(before[key], key) if key in before else {}
        new = flatten(at(content, key), key)
        for name in sorted(old.keys() | new.keys()):
            was, now = old.get(name, ABSENT), new.get(name, ABSENT)
            if was != now:
                yield f"{name}: {was} -> {now}"


def at(content: Any, key: str) -> Any:
    """Return the value at a dotted key."""
    for step in key.split("."):
        content = content[step] if isinstance(content, Mapping) and step in content else {}
    return content
