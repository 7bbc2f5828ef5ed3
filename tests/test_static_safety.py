"""No line of the program runs what it reads: a walk over the syntax trees of all modules."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for package in ("ebm", "tasks", "flows")
    for path in (ROOT / package).rglob("*.py")
)

# (file, what is called): why it is safe there.
ALLOWED = {
    ("tasks/report/sides.py", "extractall"): "an archive that git made, with filter='data'",
    ("tasks/plain_yaml.py", "yaml.load"): "the loaders it is given are safe ones; see LOADERS",
    ("tasks/plain_yaml.py", "yaml.parse"): "makes events and no objects",
    ("ebm/metrics/features.py", "torch.jit.load"): "only a file whose sha256 the settings name",
    ("ebm/networks/vgg.py", "pickle.Unpickler"): "its find_class lets numpy's arrays through alone",
}
NEVER = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "torch.jit.load"),
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.load", "marshal.loads"),
    *("shelve.open", "joblib.load", "cloudpickle.load", "cloudpickle.loads", "dill.load"),
    *("yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "yaml.parse"),
    *("pd.read_pickle", "pandas.read_pickle", "mlflow.pytorch.load_model"),
    *("mlflow.pyfunc.load_model", "tempfile.mktemp", "shutil.unpack_archive"),
}
METHODS = {"extractall"}  # of whatever object
LOADERS = {"tasks/params_file.py": "Once", "tasks/plain_yaml.py": "FAST"}


def dotted(node: ast.expr) -> str:
    """Return a name as it is written, "" where it is no name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def option(call: ast.Call, name: str) -> object:
    """Return the constant that an option is given, None where it is left out."""
    found = next((each.value for each in call.keywords if each.arg == name), None)
    return found.value if isinstance(found, ast.Constant) else found


def faults(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of whatever could run what is read."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield from ((node.lineno, dotted(base)) for base in node.bases if dotted(base) in NEVER)
        if isinstance(node, ast.ImportFrom) and node.module in ("pickle", "marshal", "yaml"):
            yield node.lineno, f"from {node.module}"  # would hide the names that are looked for
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        if name in NEVER or name.rpartition(".")[2] in METHODS:
            yield node.lineno, name if name in NEVER else name.rpartition(".")[2]
        if name == "torch.load" and option(node, "weights_only") is not True:
            yield node.lineno, "torch.load"
        if name in ("np.load", "numpy.load") and option(node, "allow_pickle") is not False:
            yield node.lineno, "np.load"
        if option(node, "shell") not in (None, False):
            yield node.lineno, "shell"


def found() -> set[tuple[str, str]]:
    return {
        (file, name)
        for file in FILES
        for _, name in faults(ast.parse((ROOT / file).read_text(), file))
    }


def test_nothing_runs_what_it_reads_but_what_is_named_here() -> None:
    new = found() - set(ALLOWED)
    assert not new, f"{sorted(new)}: read it as data, or say in ALLOWED why it is safe"


def test_what_is_named_here_is_still_there() -> None:
    assert set(ALLOWED) <= found()


@pytest.mark.parametrize(("file", "name"), LOADERS.items())
def test_loaders_of_yaml_are_safe(file: str, name: str) -> None:
    import importlib

    import yaml

    loader = getattr(importlib.import_module(file[:-3].replace("/", ".")), name)
    safe = (yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    assert issubclass(loader, safe)


def test_archive_of_git_is_unpacked_as_data() -> None:
    tree = ast.parse((ROOT / "tasks/report/sides.py").read_text())
    calls = [each for each in ast.walk(tree) if isinstance(each, ast.Call)]
    unpacked = [each for each in calls if dotted(each.func).endswith("extractall")]
    assert [option(each, "filter") for each in unpacked] == ["data"]


@pytest.mark.parametrize(
    "line",
    [
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=flag)",
        "np.load(path, allow_pickle=True)",
        "np.load(path)",
        "pickle.loads(text)",
        "from pickle import loads",
        "class A(pickle.Unpickler): pass",
        "yaml.load(text, Loader)",
        "eval(text)",
        "os.system(text)",
        "subprocess.run(text, shell=True)",
        "subprocess.run(text, shell=flag)",
        "archive.extractall(folder)",
    ],
)
def test_each_fault_is_found(line: str) -> None:
    assert len(list(faults(ast.parse(line)))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "torch.load(path, weights_only=True)",
        "np.load(path, allow_pickle=False)",
        "yaml.safe_load(text)",
        "network.eval()",
        "re.compile(text)",
        "subprocess.run([text], shell=False)",
    ],
)
def test_what_is_safe_is_let_through(line: str) -> None:
    assert not list(faults(ast.parse(line)))
