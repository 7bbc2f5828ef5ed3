"""DVC reads a file of settings once: it would parse params.yaml anew for each stage that names it.

With sixty experiments the parsing was three quarters of the time that a run needs to find nothing
to do (`python -m benchmarks.suite`).
"""

import copy
from functools import lru_cache
from typing import Any


def remember() -> None:
    """Have DVC parse each content of a .yaml once in this process."""
    from dvc.utils.serialize import LOADERS

    LOADERS[".yaml"] = load


def load(path: str, fs: Any, **options: Any) -> Any:
    """Return the content of a file as DVC's own loader does, a copy of its own each time.

    A copy, because DVC writes what it is given to dvc.lock, where a list that two stages share
    would stand as an alias.

    Raises:
        YAMLFileCorruptedError: the file is no YAML.
        EncodingError: it is no text.
    """
    from dvc.utils.serialize import EncodingError

    with fs.open(path, encoding="utf-8", **options) as file:
        try:
            text = file.read()
        except UnicodeDecodeError:
            raise EncodingError(path, "utf-8") from None
    return copy.deepcopy(parse(text, str(path)))


@lru_cache(maxsize=8)
def parse(text: str, path: str) -> Any:
    """Return the content of a text, which its path stands for in what DVC says of a mistake."""
    from dvc.utils.serialize import parse_yaml

    return parse_yaml(text, path)
