"""Positions from text: read whole, or refused by the number of the line; and their windows."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebm.datasets import eth_ucy, sdd
from ebm.datasets.positions import Windows, numbered, parse, read, windows

WALK = [f"{10 * t}\t1.0\t{t / 2}\t-1.5" for t in range(6)]


@given(st.text(alphabet="0123456789.,- \t\nexyzna", max_size=60))
def test_any_text_is_read_or_refused_by_its_name(text: str) -> None:
    try:
        found = parse(text.split("\n"), "walk.txt")
    except ValueError as error:
        assert str(error).startswith("walk.txt")
    else:
        assert len(found.frame) == len(found.line) >= 1 and np.isfinite(found.at).all()


@given(
    st.dictionaries(
        st.tuples(st.integers(-99, 99), st.integers(0, 4)),
        st.tuples(*[st.floats(-1e6, 1e6)] * 2),
        min_size=1,
    ),
    st.sampled_from(["\t", " ", ",", ", "]),
)
def test_what_is_written_comes_back_sorted(told: dict, between: str) -> None:
    lines = [between.join(map(repr, (*key, *at))) for key, at in told.items()]
    found = parse(["frame,agent,x,y", "", *lines], "walk.csv")
    keys = list(zip(found.frame.tolist(), found.agent.tolist(), strict=True))
    assert keys == sorted(told, key=lambda key: (key[1], key[0]))
    assert [told[key] for key in keys] == [tuple(at) for at in found.at.tolist()]
    assert [list(told)[n - 3] for n in found.line] == keys


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("60\t1\t3.0", "line 7 has 3 fields; it must be `frame agent x y`"),
        ("60\t1\t3.0\teast", "line 7: y is 'east'; it must be a number"),
        ("60\t1\tnan\t0", "line 7: x is nan; it must be finite"),
        ("60.5\t1\t3\t0", "line 7: frame is 60.5; it must be a whole number"),
        ("60\t1\t1e300\t0", "line 7: x is 1e300; it is too large for a position"),
        ("50\t1\t9\t9", "line 7: agent 1 is in frame 50 a second time, after line 6; keep one"),
    ],
)
def test_wrong_line_is_named_with_what_is_found_and_what_is_right(line: str, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"walk.txt, {told}")):
        parse([*WALK, line], "walk.txt")


def test_file_that_is_missing_empty_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is missing"):
        read(tmp_path / "none.txt")
    for content, told in ((b"\n\n", "has no positions"), (b"\xff\xfe\x00", "is no text")):
        (tmp_path / "bad.txt").write_bytes(content)
        with pytest.raises(ValueError, match=rf"bad.txt {told}"):
            read(tmp_path / "bad.txt")


@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30), min_size=1))
def test_windows_are_those_of_a_plain_search(one: set[int], other: set[int]) -> None:
    seen = {(t, a) for a, frames in ((3, one), (5, other)) for t in frames}
    lines = [f"{10 * t} {a} {t} {a}" for t, a in sorted(seen)]
    found = windows(parse(lines, "walk.txt"), step=10, length=4)
    right = [
        (10 * t, a) for t in range(31) for a in (3, 5) if all((t + i, a) in seen for i in range(4))
    ]
    assert list(zip(found.first.tolist(), found.agent.tolist(), strict=True)) == right
    for x, (t, a) in zip(found.x, right, strict=True):
        assert x.tolist() == [[t // 10 + i, a] for i in range(4)]


def test_windows_of_several_scenes_are_numbered_through() -> None:
    parts = [
        Windows(np.full((n, 4, 2), n, np.float32), np.array(first), np.arange(n))
        for n, first in ((3, [0, 0, 10]), (0, []), (2, [0, 20]))
    ]
    x, labels = numbered(parts)
    assert labels.tolist() == [0, 0, 1, 2, 3] and x[:, 0, 0].tolist() == [3, 3, 3, 2, 2]


def put(path: Path, step: int, agents: range) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{step * t} {a} {t} {a}" for t in range(6) for a in agents]
    path.write_text("\n".join(lines) + "\n")


def test_parts_of_a_fold_follow_each_other(tmp_path: Path) -> None:
    for part, agents in (("train", range(3)), ("val", range(3, 5)), ("test", range(5, 6))):
        put(tmp_path / "eth" / part / "a.txt", 10, agents)
    found = eth_ucy.load(tmp_path, eth_ucy.Options(fold="eth", length=5))
    assert found.images.shape == (12, 5, 2) and found.images.dtype == np.float32
    assert found.validation is not None and found.test is not None
    assert found.images[found.validation][:, 0, 1].tolist() == [3, 4, 3, 4]
    assert found.images[found.test][:, 0, 1].tolist() == [5, 5]
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 5]
    (tmp_path / "eth" / "val" / "a.txt").unlink()
    with pytest.raises(ValueError, match="val has no .txt; fetch eth_ucy again"):
        eth_ucy.load(tmp_path, eth_ucy.Options(fold="eth", length=5))


def test_scenes_of_a_fold_are_held_out_whole(tmp_path: Path) -> None:
    names = ["train/a_train", "train/b_train", "val/a_val", "val/b_val", "test/c"]
    for number, name in enumerate(names):
        put(tmp_path / "eth" / f"{name}.txt", 10, range(number, number + 1))
    found = eth_ucy.load(tmp_path, eth_ucy.Options(fold="eth", length=5, held=["a"]))
    assert found.images[:, 0, 1].tolist() == [1, 1, 0, 0, 2, 2, 4, 4]
    assert found.validation is not None and found.validation.tolist() == [2, 3, 4, 5]
    for held, told in ((["c"], "has 'c'; the scenes are a, b"), (["a", "b"], "leave some")):
        with pytest.raises(ValueError, match=told):
            eth_ucy.load(tmp_path, eth_ucy.Options(fold="eth", length=5, held=held))


def test_scenes_are_held_out_whole(tmp_path: Path) -> None:
    for number, name in enumerate(["train/a", "train/b", "test/c"]):
        put(tmp_path / f"{name}.txt", 12, range(number, number + 1))
    found = sdd.load(tmp_path, sdd.Options(length=5, held=["a"]))
    assert found.images[:, 0, 1].tolist() == [1, 1, 0, 0, 2, 2]
    assert found.validation is not None and found.validation.tolist() == [2, 3]
    assert found.test is not None and found.test.tolist() == [4, 5]
    for held, told in ((["d"], "has 'd'; the scenes are a, b"), (["a", "b"], "leave some")):
        with pytest.raises(ValueError, match=told):
            sdd.load(tmp_path, sdd.Options(length=5, held=held))
