"""The sha256 of files, unpacked where they are gzipped, and of many together."""

import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO

CHUNK = 2**20


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
