"""DVC reads a file of settings once, and finds a setting by its name.

It would parse a file anew for each stage that names it, copy all of it, and walk through all of it
for each setting. With sixty experiments that was nine tenths of the time that a run needs to find
nothing to do (`python -m benchmarks.suite`).
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

FILES = (".yaml", ".py")
NOWHERE = object()


def remember() -> None:
    """Have DVC parse each content of a .yaml or .py once in this process, and find by names."""
    from dvc.dependency import param
    from dvc.utils.serialize import LOADERS

    dvcs_own()
    for ending in FILES:
        LOADERS[ending] = load
    param.read_param_file = settings


def load(path: str, fs: Any, **options: Any) -> Any:
    """Return the content of a file as DVC's own loader does, a copy of its own each time.

    A copy, because DVC writes what it is given to dvc.lock, where a list that two stages share
    would stand as an alias.

    Raises:
        YAMLFileCorruptedError, PythonFileCorruptedError: the file is no YAML, or no Python.
        EncodingError: it is no text.
    """
    return copy.deepcopy(content(path, fs, **options))


def settings(
    fs: Any, path: str, key_paths: Sequence[str] | None = None, flatten: bool = False, **other: Any
) -> Any:
    """Return settings of a file by their full keys, as DVC's own `read_param_file` does.

    A key that does not lead from mapping to mapping is left to DVC, a pattern or an index.

    Raises:
        ParseError: the file cannot be read.
    """
    if not key_paths or not flatten or not path.endswith(FILES):
        return dvcs_own()(fs, path, key_paths, flatten, **other)
    known = content(path, fs, **other)
    found = {key: at(known, key, NOWHERE) for key in key_paths}
    if left := [key for key, value in found.items() if value is NOWHERE]:
        found |= dvcs_own()(fs, path, left, True, **other)
    return {key: copy.deepcopy(each) for key, each in found.items() if each is not NOWHERE}


def at(known: Any, key: str, absent: Any) -> Any:
    """Return what stands under a full key, `absent` where no mapping has it."""
    for name in key.split("."):
        if not isinstance(known, Mapping) or name not in known:
            return absent
        known = known[name]
    return known


@lru_cache(maxsize=1)
def dvcs_own() -> Callable[..., Any]:
    """Return DVC's `read_param_file`; it is asked for first before another takes its place."""
    from dvc.dependency import param

    return param.read_param_file  # type: ignore[no-any-return]


def content(path: str, fs: Any, **options: Any) -> Any:
    """Return the content of a file, parsed once; nobody may change it.

    Raises:
        ParseError: the file cannot be read.
    """
    from dvc.utils.serialize import EncodingError

    with fs.open(path, encoding="utf-8", **options) as file:
        try:
            text = file.read()
        except UnicodeDecodeError:
            raise EncodingError(path, "utf-8") from None
    return parse(text, str(path))


@lru_cache(maxsize=256)
def parse(text: str, path: str) -> Any:
    """Return the content of a text, which its path stands for in what DVC says of a mistake."""
    from dvc.utils.serialize import parse_py, parse_yaml

    return (parse_py if path.endswith(".py") else parse_yaml)(text, path)
