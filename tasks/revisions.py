"""Has a module's mathematics changed without its REVISION?

python -m tasks.revisions                      say what changed and what to do
python -m tasks.revisions --record             take in modules that are new, bumped or gone
python -m tasks.revisions --bump FILE ...      raise REVISION: the results change
python -m tasks.revisions --same-results FILE ...    the results stay as they are

DVC reruns a stage when the REVISION of a module that it declares has changed. The record holds, for
each module with one, its REVISION and a digest of its syntax tree without docstrings, comments and
annotations; a test demands that they agree, so that no change of results goes unnoticed.
"""

import ast
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

from tasks.artefacts import write_json

RECORD = Path("tests/revisions.json")
PACKAGES = ("ebm", "tasks")
LINE = re.compile(r"^REVISION = (\d+)$", re.M)

Entry = dict[str, Any]


class Bare(ast.NodeTransformer):
    """Takes from a tree what cannot change a result: docstrings, annotations, the REVISION."""

    def visit(self, node: ast.AST) -> Any:
        """Visit a node; bodies lose their docstrings first."""
        body = getattr(node, "body", None)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:]
            node.body = node.body or [ast.Pass()]
        node = super().visit(node)
        if isinstance(body, list) and hasattr(node, "body") and not node.body:
            node.body = [ast.Pass()]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Drop what a function returns."""
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        """Drop an argument's type."""
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        """Read `name: type = value` as `name = value`; without a value it says nothing."""
        if node.value is None:
            return None
        return self.generic_visit(ast.Assign([node.target], node.value, lineno=node.lineno))

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        """Drop the REVISION itself: raising it changes no mathematics."""
        if isinstance(node.targets[0], ast.Name) and node.targets[0].id == "REVISION":
            return None
        return self.generic_visit(node)


def digest(source: str) -> str:
    r"""Return a hash of a module's syntax tree, of all that can change a result.

    >>> digest("def f(x: int) -> int:\n    'Add.'\n    return x + 1") == digest(
    ...     "REVISION = 3\ndef f(x):  # plus one\n    return x + 1")
    True
    """
    bare = ast.unparse(Bare().visit(ast.parse(source)))
    return hashlib.sha256(bare.encode()).hexdigest()


def modules(root: Path) -> dict[str, Entry]:
    """Return revision and digest of every module that has a REVISION, by its path."""
    found = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            source = path.read_text()
            if line := LINE.search(source):
                entry = {"revision": int(line[1]), "digest": digest(source)}
                found[path.relative_to(root).as_posix()] = entry
    return found


def recorded(root: Path) -> dict[str, Entry]:
    """Return what is on record."""
    path = root / RECORD
    return json.loads(path.read_text()) if path.exists() else {}


def problems(now: dict[str, Entry], then: dict[str, Entry]) -> dict[str, str]:
    """Return what has to be done, by module; nothing where code and record agree."""
    found = {name: "is gone: run --record" for name in then if name not in now}
    for name, entry in now.items():
        old = then.get(name)
        if old is None:
            found[name] = "is new: run --record"
        elif entry["revision"] < old["revision"]:
            found[name] = (
                f"has REVISION {entry['revision']}, on record is {old['revision']}: never less"
            )
        elif entry["revision"] > old["revision"]:
            found[name] = "has a new REVISION: run --record"
        elif entry["digest"] != old["digest"]:
            found[name] = (
                f"has changed under REVISION {old['revision']}: run --bump {name} if a result can "
                f"differ, --same-results {name} if none can"
            )
    return found


def record(root: Path) -> list[str]:
    """Take in what is new, bumped or gone; return what was taken. Silent changes are not."""
    now, then = modules(root), recorded(root)
    taken = [name for name, text in problems(now, then).items() if text.endswith("--record")]
    for name in taken:
        then.pop(name, None)
        if name in now:
            then[name] = now[name]
    write_json(root / RECORD, dict(sorted(then.items())))
    return taken


def same_results(root: Path, name: str) -> None:
    """Record a module's present tree under the REVISION it has."""
    then = recorded(root)
    then[name] = pick(root, name)
    write_json(root / RECORD, dict(sorted(then.items())))


def bump(root: Path, name: str) -> None:
    """Raise a module's REVISION in its file, and record it."""
    revision = pick(root, name)["revision"]
    path = root / name
    path.write_text(LINE.sub(f"REVISION = {revision + 1}", path.read_text(), count=1))
    same_results(root, name)


def pick(root: Path, name: str) -> Entry:
    """Return a module's entry.

    Raises:
        ValueError: there is no such file, or it has no REVISION.
    """
    now = modules(root)
    if name not in now:
        raise ValueError(f"{name} has no line `REVISION = n`, or does not exist")
    return now[name]


def main(arguments: list[str], root: Path = Path(".")) -> int:
    """Do what the arguments say; return the exit status, 1 where something is left to do."""
    action, names = arguments[0] if arguments else "", arguments[1:]
    if action == "--record" and not names:
        print("\n".join(["recorded:", *record(root)]))
    elif action in ("--bump", "--same-results") and names:
        try:
            for name in names:
                (bump if action == "--bump" else same_results)(root, name)
        except ValueError as error:
            print(error, file=sys.stderr)
            return 1
    elif action:
        print(__doc__, file=sys.stderr)
        return 2
    left = problems(modules(root), recorded(root))
    for name, text in left.items():
        print(name, text)
    return int(bool(left))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
