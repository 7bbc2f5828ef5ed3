from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.inputs import inputs
from tasks.params_file import override
from tasks.refusals import SettingsError
from tasks.settings import validate

NAME = "multigrid-digits-joint"
CONTENT = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text())
CONTENT["experiments"] = {NAME: CONTENT["experiments"][NAME]}
CLASSIFY = {"labels": [20, 50], "draws": 5, "strengths": [0.1, 1.0]}
TUNING = {"updates": 9, "batch": 5, "rates": [0.001], "decay": 0.0, "checks": 3}
REFERENCE = {
    **{"dataset": "digits", "network": "efficientnet", "weights": "a.pth", "sha256": "0" * 64},
    **{"images": 100, "device": "cpu", "threads": 1},
}


def with_classify(references: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    changed = override(CONTENT, {f"experiments.{NAME}.classify": {**CLASSIFY, **changes}})
    return {**changed, "references": references or {}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": [50, 20]}, "classify.labels: is [50, 20]; each number must be larger"),
        ({"labels": [20, 20]}, "classify.labels: is [20, 20]; each number must be larger"),
        ({"labels": [0, 20]}, "classify.labels.0 is 0; "),
        ({"labels": []}, "classify.labels is []; "),
        ({"draws": 1}, "classify.draws is 1; "),
        ({"fine_tune": {**TUNING, "rates": [0.0]}}, "classify.fine_tune.rates.0 is 0.0; "),
        ({"fine_tune": {**TUNING, "rates": []}}, "classify.fine_tune.rates is []; "),
        ({"fine_tune": {**TUNING, "checks": 10}}, "checks is 10; it must be updates, 9, or less"),
        ({"fine_tune": {**TUNING, "update": 10}}, "fine_tune.update; did you mean updates?"),
        ({"fine_tune": {"updates": 3}}, "classify.fine_tune.batch is missing"),
        ({"networks": ["efficentnet"]}, "classify.networks.0 is 'efficentnet'"),
        ({"networks": ["efficientnet"] * 2}, "classify.networks"),
        (
            {"networks": ["efficientnet"]},
            "classify.networks has efficientnet; references has none of the data set digits",
        ),
    ],
)
def test_wrong_setting_is_named_with_what_would_be_right(
    changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        validate(with_classify(**changes))
    said = str(caught.value)
    assert words in said and NAME in said and "\n" not in said


def test_what_is_not_asked_for_leaves_no_trace() -> None:
    for changes in ({}, {"fine_tune": None, "networks": []}):
        params = validate(with_classify(**changes))
        assert inputs(params, "classify", NAME).classify.model_dump(mode="json") == CLASSIFY
    assert validate(with_classify({"a": REFERENCE})).references["a"].model_dump() == REFERENCE


def test_what_is_asked_for_is_read() -> None:
    content = with_classify({"a": REFERENCE}, fine_tune=TUNING, networks=["efficientnet"])
    classify = inputs(validate(content), "classify", NAME).classify
    assert classify.model_dump() == {
        **CLASSIFY,
        "fine_tune": TUNING,
        "networks": ["efficientnet"],
    }


def test_reference_of_another_network_is_none() -> None:
    other = {"a": {**REFERENCE, "network": "inception"}}
    with pytest.raises(SettingsError, match="classify.networks has efficientnet"):
        validate(with_classify(other, networks=["efficientnet"]))
