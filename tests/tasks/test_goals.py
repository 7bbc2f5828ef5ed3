"""Goals that are text: what a number can be held against, and what stays words."""

from pathlib import Path
from typing import Any

import pytest

from tasks.params_file import read_yaml
from tasks.report.goals import met, read

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("goal", "value", "verdict"),
    [
        ("<= 1.2", 1.2, True),
        ("<= 1.2: as near as the two halves of the picture", 1.21, False),
        ("<1.2", 1.2, False),
        (">= .5", 0.5, True),
        ("> 0", 0, False),
        ("above 0: the seed's 19.3 points are of SVHN", 3.6, True),
        ("above 0.9: x = s^2 grad f(x) at a mode", 0.5, False),
        ("below -1e-2", -0.5, True),
        (".6 to .95", 0.95, True),
        (".6 to .95", 0.96, False),
        ("-1 to 1: both ends are in", -1.0, True),
        (" 36. ", 36.1, False),
    ],
)
def test_text_that_a_number_can_be_held_against_has_a_verdict(
    goal: str, value: float, verdict: bool
) -> None:
    assert met({"goal": goal, "value": value, "better": "lower"}) is verdict


@pytest.mark.parametrize(
    "goal",
    [
        "",
        "nearer the floor than the ceiling",
        "about 1: 2,500 steps do not degenerate",
        "within .005 of the plain twin",
        "within 10 % of latent-mnist",
        "36.3 or less, the figure of multigrid-mnist; below coarse-to-fine-mnist-direct",
        "good at 20 steps, saturated at 2000",
        "below that of ZINC250k: the set is dense",
        "above 3 of the others",
        "below0.5",
        "<= 1.2 and >= 1",
        "< 1,000",
        "<= 10 %",
        "1e999",
        "<= inf",
        "< nan",
        "12:30",
        "2 to 1",
        "< 1 to 2",
        "1 to 2 to 3",
        "1 to many",
        "٣",
        "<= 1_0",
        "0x1",
    ],
)
def test_words_have_no_verdict(goal: str) -> None:
    assert read(goal, "lower") is None
    assert met({"goal": goal, "value": 1.0, "better": "lower"}) is None


def test_a_number_alone_is_a_bound_on_the_worse_side() -> None:
    row: dict[str, Any] = {"value": 0.9, "better": "higher"}
    for goal in (1.0, 1, "1", "1: long conditional chains stay like the data"):
        assert met({**row, "goal": goal}) is False
        assert met({**row, "goal": goal, "better": "lower"}) is True


@pytest.mark.parametrize("value", [None, "0.5", [0.5], True])
def test_what_is_not_one_number_has_no_verdict(value: Any) -> None:
    assert met({"goal": "<= 1", "value": value, "better": "lower"}) is None
    assert met({"goal": 1.0, "value": value, "better": "lower"}) is None


def test_goals_of_the_settings_that_begin_with_a_sign_are_read() -> None:
    experiments = read_yaml(ROOT / "params.yaml")["experiments"].values()
    goals = [goal["goal"] for e in experiments for goal in (e.get("goals") or {}).values()]
    signed = [goal for goal in goals if isinstance(goal, str) and goal[0] in "<>"]
    assert signed and all(read(goal, "lower") for goal in signed)
