"""The bill of materials: what the program stands on, by version and licence.

python -m tasks.materials    write docs/materials.md

Packages are those that requirements.lock pins; their licences are what their own metadata says.
Data and weights are those of ebm/datasets. Nothing is asked of the network.
"""

import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from textwrap import shorten

from ebm.datasets import LOADERS, WEIGHTS, source_of
from tasks.artefacts import write_text

LOCK, PAGE = Path("requirements.lock"), Path("docs/materials.md")
UNSTATED = "not stated in its metadata"
WIDEST = 80  # characters of a licence: some packages put its whole text where the name belongs

HEAD = """# Bill of materials

Written by `python -m tasks.materials`; a test holds it against `requirements.lock`
and `ebm/datasets`. [Security](security.md) says what is done so that none of it does harm.
"""


def pinned(lock: str) -> list[tuple[str, str]]:
    r"""Return the packages of a lock file with their versions.

    Raises:
        ValueError: a line pins no version.

    >>> pinned("numpy==2.4.6\n# a comment\n")
    [('numpy', '2.4.6')]
    """
    found = []
    for number, line in enumerate(lock.splitlines(), 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        name, equals, version = text.partition("==")
        if not equals:
            raise ValueError(f"{LOCK}, line {number} is {text!r}; it must be NAME==VERSION")
        found.append((name, version))
    return found


def licence(package: str) -> str:
    """Return a package's licence as its metadata has it.

    Raises:
        ValueError: the package is not installed.
    """
    try:
        about = metadata(package)
    except PackageNotFoundError:
        raise ValueError(f"{package} is not installed; `make install` installs it") from None
    classes = [each.split(" :: ") for each in about.get_all("Classifier") or []]
    stated, expression = (
        (about.get_all(key) or [""])[0].strip().partition("\n")[0]
        for key in ("License", "License-Expression")
    )
    named = [each[-1] for each in classes if each[0] == "License" and each[-1] != "OSI Approved"]
    text = expression or ", ".join(named) or stated or UNSTATED
    return shorten(text, WIDEST, placeholder=" ...")


def packages(lock: str) -> Iterator[tuple[str, str, str]]:
    """Yield the name, version and licence of each package that a lock file pins."""
    for name, version in pinned(lock):
        yield name, version, licence(name)


def data() -> Iterator[tuple[str, str, str, str]]:
    """Yield the name, title, carrier and licence of each data set and each network's weights."""
    for name in sorted({*LOADERS, *WEIGHTS}):
        source = source_of(name)
        own = f"the user, in EBM_DATA/{source.folder}"
        brought = source.carrier or source.package or source.address or own
        yield name, source.title, brought if source.files else "nothing", source.licence


def table(titles: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    """Return rows as a table of Markdown."""
    lines = [titles, ("---",) * len(titles), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |\n" for row in lines)


def page(lock: str) -> str:
    """Return the whole page."""
    of_data = table(("name", "what it is", "brought by", "licence"), data())
    of_packages = table(("package", "version", "licence"), packages(lock))
    return f"{HEAD}\n## Data and weights\n\n{of_data}\n## Packages\n\n{of_packages}"


def main() -> int:
    """Write the page; return the exit status."""
    try:
        write_text(PAGE, page(LOCK.read_text()))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Written: {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
