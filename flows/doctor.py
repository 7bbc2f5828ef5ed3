"""`ebm doctor`: what on this machine is not as the project needs it, and what to do about it."""

import os
import platform
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from importlib import import_module, metadata
from pathlib import Path
from typing import NamedTuple

from flows.dashboard import PORTS, check_port
from tasks.lineage import git
from tasks.paths import Paths

PYTHON = (3, 11)
ROOM = 5.0  # GB of free disk below which a run may fill it
PINNED = re.compile(r"^([\w.-]+)(?:\[[\w,-]+\])?==([\w.+!-]+)")
BREAKS = {  # packages whose newer versions break without a word, and what breaks
    "sqlalchemy": "Prefect's schedules make no runs",
    "fastapi": "Prefect's server does not start",
    "torch": "the bits of results differ",
}


class Check(NamedTuple):
    """What one look found.

    Attributes:
        name: what was looked at.
        state: ok, warning or wrong.
        found: in a few words.
        remedy: what to do; empty where nothing is.
        fix: does it, where `--fix` can.
    """

    name: str
    state: str
    found: str
    remedy: str = ""
    fix: Callable[[], None] | None = None


def checks(paths: Paths) -> Iterator[Check]:
    """Look at everything, in the order of what hinders most."""
    looks: dict[str, Callable[[], Check]] = {
        "Python": lambda: python_version(sys.version_info[:2]),
        "packages": lambda: packages(paths.root / "requirements.lock"),
        "torch": torch_build,
        "torchvision": vision,
        "GPU": gpu,
        "disk": lambda: disk(shutil.disk_usage(paths.root).free / 1e9),
        "data": lambda: data(os.environ.get("EBM_DATA")),
        "carriers": lambda: carriers(paths),
        "ports": lambda: ports(PORTS, page(paths)),
        "dvc.lock": lambda: lock(paths),
        "mlflow.db": lambda: database(paths.root / "mlflow.db"),
        "git": lambda: repository(paths.root),
    }
    for name, look in looks.items():
        yield looked(name, look)


def looked(name: str, look: Callable[[], Check]) -> Check:
    """Return what a look found, though it may break of what it should find."""
    try:
        return look()
    except ImportError as error:
        return Check(name, "wrong", f"it cannot be looked at ({error})", "run make install")
    except Exception as error:  # a file that is cut, unreadable, or no file
        why = " ".join(str(error).split())
        return Check(name, "wrong", f"it cannot be looked at ({why})", "mend what it names")


def carriers(paths: Paths) -> Check:
    """What packages carry for params.yaml is whole, or on its way."""
    from flows.carriers import carriers as check  # it needs torch, which may be what is missing

    return check(paths)


def page(paths: Paths) -> str | None:
    """Return the address of the page that `ebm serve` shows, None where it shows none."""
    from flows.serving import page as shown

    return shown(paths)


def python_version(found: tuple[int, ...]) -> Check:
    """Python is the version that the pinned packages are for."""
    told = ".".join(map(str, found))
    if found == PYTHON:
        return Check("Python", "ok", f"{told}, {platform.machine()}")
    return Check("Python", "wrong", told, "install Python 3.11, remove .venv, and run make install")


def packages(file: Path) -> Check:
    """Every pinned package is installed in its version."""
    if not file.is_file():
        return Check("packages", "wrong", f"{file.name} is missing", "get it from the repository")
    off = list(differing(file.read_text()))
    if not off:
        return Check("packages", "ok", f"all as {file.name} has them")
    shown = ", ".join(f"{name} {has or 'missing'} for {wanted}" for name, wanted, has in off[:5])
    more = f" and {len(off) - 5} more" if len(off) > 5 else ""
    why = [f"with another {name}, {BREAKS[name]}" for name, *_ in off if name in BREAKS]
    remedy = "; ".join(["run make install, or ebm doctor --fix", *why])

    def fix() -> None:
        install([f"{name}=={wanted}" for name, wanted, _ in off])

    return Check("packages", "wrong", shown + more, remedy, fix)


def differing(text: str) -> Iterator[tuple[str, str, str | None]]:
    r"""Yield name, pinned version and installed version, None of none, where they differ.

    >>> list(differing("pydantic==0.1\\n# pip\\n")) == [
    ...     ("pydantic", "0.1", metadata.version("pydantic"))
    ... ]
    True
    """
    for line in text.splitlines():
        if not (pinned := PINNED.match(line.strip())):
            continue
        name, wanted = pinned[1], pinned[2]
        try:
            has = metadata.version(name)
        except metadata.PackageNotFoundError:
            has = None
        if has is None or has.partition("+")[0] != wanted.partition("+")[0]:
            yield name, wanted, has


def install(wanted: list[str]) -> None:
    """Install packages as they are pinned, without what they would drag along."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", *wanted]
    subprocess.run(command, check=True)


def torch_build() -> Check:
    """Torch loads, and says how it was built."""
    try:
        torch = import_module("torch")
    except (ImportError, OSError) as error:
        return Check("torch", "wrong", str(error).splitlines()[0], "run make install")
    return Check("torch", "ok", f"{torch.__version__}, {torch.get_num_threads()} threads")


def vision() -> Check:
    """Torchvision loads, by the mending of `tasks.vision` where its build is not torch's."""
    try:
        from tasks import vision as mended
    except Exception as error:  # whatever it is, the pictures will not be drawn
        told = str(error).splitlines()[0]
        return Check("torchvision", "wrong", told, "run make install")
    how = "mended: its build is not torch's" if hasattr(mended, "LIBRARY") else "as it is"
    return Check("torchvision", "ok", f"{mended.torchvision.__version__}, {how}")


def gpu() -> Check:
    """A GPU is optional."""
    try:
        cuda = import_module("torch").cuda
    except (ImportError, OSError):
        return Check("GPU", "warning", "torch cannot say", "run make install")
    if cuda.is_available():
        return Check("GPU", "ok", cuda.get_device_name(0))
    return Check("GPU", "ok", "none: experiments marked for one wait (ebm list names them)")


def disk(free: float) -> Check:
    """There is room, in GB."""
    told = f"{free:.1f} GB free"
    if free >= ROOM:
        return Check("disk", "ok", told)
    remedy = "free some, or move .dvc/cache elsewhere; ebm clean removes scratch and logs"
    return Check("disk", "warning", told, remedy)


def data(folder: str | None) -> Check:
    """EBM_DATA, where it is set, names a folder."""
    if not folder:
        told = "EBM_DATA is not set: data that no package carries are fetched or missing"
        return Check("data", "ok", told)
    place = Path(folder)
    if not place.is_dir():
        remedy = "set it to the folder of the benchmark sets, or unset it"
        return Check("data", "wrong", f"EBM_DATA is {folder}, which is no folder", remedy)
    count = sum(each.is_dir() for each in place.iterdir())
    return Check("data", "ok", f"EBM_DATA has {count} sets")


def ports(pages: Mapping[str, int], shown: str | None = None) -> Check:
    """A server can be bound to this machine's own address, and the dashboards' ports are free.

    Args:
        pages: the port of each page by the option that chooses another.
        shown: the address of the page that `ebm serve` shows, which may have one of them.
    """
    try:
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
    except OSError as error:
        remedy = "let programs bind 127.0.0.1; flows need Prefect's server there"
        return Check("ports", "wrong", str(error), remedy)
    taken = [(option, port) for option, port in pages.items() if not free(port, option, shown)]
    if taken:
        told = ", ".join(f"port {port} is in use" for _, port in taken)
        others = " ".join(f"{option} N" for option, _ in taken)
        return Check("ports", "warning", told, f"give another with {others}, unless it is your own")
    return Check("ports", "ok", "127.0.0.1 can be bound, those of the dashboards are free")


def free(port: int, option: str, shown: str | None) -> bool:
    """Return whether a port can be had, or `ebm serve` has it."""
    try:
        check_port(port, option)
    except ValueError:
        return shown is not None and f":{port}/" in shown
    return True


def lock(paths: Paths) -> Check:
    """dvc.lock is whole, or a good copy is."""
    file = paths.root / "dvc.lock"
    from flows import lockfile  # it needs yaml, which may be what is missing

    if not file.exists() or lockfile.parse(lockfile.read(file) or "") is not None:
        return Check("dvc.lock", "ok", "whole" if file.exists() else "none yet")
    copy = paths.work / "dvc.lock"
    remedy = "the next ebm run puts the last good copy back"
    return Check("dvc.lock", "warning", "cut or damaged", remedy if copy.exists() else "git has it")


def database(file: Path) -> Check:
    """MLflow's database can be read."""
    if not file.exists():
        return Check("mlflow.db", "ok", "none yet")
    address = f"{file.resolve().as_uri()}?mode=rw"  # what a kill left half-done is taken back
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=2)) as connection:
            (said,) = connection.execute("pragma quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:  # nothing is wrong with the file itself
        remedy = "see that you may read and write it"
        if "locked" in str(error):
            remedy = "end the program that holds it, or wait for it"
        return Check("mlflow.db", "warning", str(error), remedy)
    except sqlite3.Error as error:
        said = str(error)
    if said == "ok":
        return Check("mlflow.db", "ok", f"{file.stat().st_size / 1e6:.0f} MB, sound")

    def fix() -> None:
        stamp = time.strftime("%Y%m%d-%H%M%S")  # one that was moved before stays
        for end in ("", "-journal", "-wal", "-shm"):  # SQLite takes them for the next one's
            if (part := file.with_name(file.name + end)).exists():
                part.replace(file.with_name(f"{file.name}.damaged-{stamp}{end}"))

    remedy = "ebm doctor --fix moves it aside; results and models are elsewhere and stay"
    return Check("mlflow.db", "wrong", said, remedy, fix)


def holds(folder: Path, name: str) -> bool:
    """Tell whether a folder or one above has a file: git may refuse one that another user owns."""
    folder = folder.resolve()
    return any((each / name).exists() for each in (folder, *folder.parents))


def repository(root: Path) -> Check:
    """The project is a repository of git, which DVC needs."""
    if not shutil.which("git"):
        return Check(
            "git", "wrong", "not on PATH", "install it: DVC works in its repositories alone"
        )
    if git(root, "rev-parse", "--git-dir") is None and not holds(root, ".git"):
        remedy = "clone the project, or say `git init` here: DVC works in its repositories alone"
        return Check("git", "wrong", f"{root.resolve()} is no repository", remedy)
    return Check("git", "ok", "a repository")
