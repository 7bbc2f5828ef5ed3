"""Artefacts are written to a temporary name and renamed: a reader never sees half of one."""

import io
import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident
from typing import Any

import numpy as np

from ebm.datasets.loaded import why


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Fill a folder under a temporary name; it takes its place when the block ends well."""
    temporary = path.with_name(f".{path.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    shutil.rmtree(path, ignore_errors=True)
    os.replace(temporary, path)


def write_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all; of several that write it at once, one's stands."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{get_ident()}.part")
    try:
        with temporary.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def age(path: Path) -> str | None:
    """Return what tells one version of a file from another, whatever the clock says; None of none.

    The content would not: a run that is repeated writes the same.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return f"{found.st_ino} {found.st_mtime_ns}"


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, whole or not at all; NaN is refused."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        ValueError: the file is no JSON.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON (line {error.lineno}: {error.msg})") from None
    except (ValueError, RecursionError) as error:  # no text, a number of a mile, a nest without end
        raise ValueError(f"{path} is not JSON ({error})") from None


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write arrays as .npz; the same arrays give the same bytes, whatever Python wrote them.

    numpy's own writer leaves a mark in the archive that differs between releases of Python.
    """
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asanyarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getbuffer())


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file, as data.

    Raises:
        ValueError: the file is missing, truncated or no .npz.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            found = {name: content[name] for name in content.files}
            strange = next((k for k, v in found.items() if not isinstance(v, np.ndarray)), None)
            if strange is not None:  # numpy gives other files of an archive as they are
                raise ValueError(f"{strange} is no array")
            return found
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; run its stage again") from None
    except Exception as error:  # zipfile, zlib, numpy and OSError each have their own
        told = f"{path} cannot be read as arrays ({why(error)})"
        raise ValueError(f"{told}; run its stage again") from None
