"""Rectangles to hide."""

from typing import Any

import pytest

from ebm.apply.boxes import KINDS, Box
from ebm.apply.boxes import make_masks


def box(*shares: float, name: str = "mouth") -> Box:
    return Box.model_validate({"name": name, "box": shares})


def test_box_hides_its_share_at_any_size() -> None:
    for size in (8, 16, 64):
        masks = box(0.25, 0.5, 0.5, 0.375).masks(3, size)
        assert masks.shape == (3, 1, size, size) and masks.dtype == bool
        assert (~masks).sum() == 3 * 0.5 * size * 0.375 * size
        assert not masks[0, 0, size // 4 : 3 * size // 4, size // 2 : 7 * size // 8].any()


def test_block_and_half_are_boxes_too() -> None:
    assert (box(0.25, 0.25, 0.5, 0.5).masks(2, 8) == make_masks("block", 2, 8, 0.5, 0)).all()
    assert (box(0, 0.5, 1, 0.5).masks(2, 8) == make_masks("half", 2, 8, 0.5, 0)).all()
    assert KINDS == ("half", "block", "pixels")


@pytest.mark.parametrize(
    ("name", "shares", "words"),
    [
        ("mouth", [0.5, 0.5, 0.6, 0.1], "at most 1"),
        ("mouth", [0.5, 0.5, 0.0, 0.1], "height and width above 0"),
        ("mouth", [0.5, 0.5, 0.1], "box"),
        ("mouth", [-0.1, 0.5, 0.1, 0.1], "greater than or equal to 0"),
        ("half", [0.5, 0.5, 0.1, 0.1], "'half', which is a mask already"),
        ("the mouth", [0.5, 0.5, 0.1, 0.1], "pattern"),
        ("../x", [0.5, 0.5, 0.1, 0.1], "pattern"),
    ],
)
def test_wrong_boxes_are_refused(name: str, shares: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        box(*shares, name=name)


def test_box_that_hides_all_or_nothing_at_a_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mask mouth with box .* hides no pixel of a 8x8 image"):
        box(0.5, 0.5, 0.02, 0.02).masks(1, 8)
    assert not box(0.5, 0.5, 0.02, 0.02).masks(1, 64).all()
    with pytest.raises(ValueError, match="hides every pixel of a 8x8 image; make it smaller"):
        box(0, 0, 1, 1).masks(1, 8)
