"""The page of settings says what the settings' own classes say."""

import re
from pathlib import Path

import pytest

from ebm.learn import LEARNERS, learner_class
from tasks import settings_page
from tasks.params_file import read_yaml
from tasks.settings import Params

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / settings_page.PAGE).read_text()


def test_the_page_is_that_of_the_settings() -> None:
    assert settings_page.page() == PAGE, "run `python -m tasks.settings_page`"


def test_every_name_leads_to_a_table() -> None:
    headings = {title.lower() for title in re.findall(r"^### (.+)$", PAGE, re.M)}
    assert {anchor for anchor in re.findall(r"\(#([^)]+)\)", PAGE)} <= headings


def test_classes_of_one_name_are_one_class() -> None:
    roots = [Params, *(learner_class(name).Settings for name in LEARNERS)]
    seen: dict[str, object] = {}
    for root in roots:
        for name, each in root.model_json_schema().get("$defs", {}).items():
            assert seen.setdefault(name, each) == each, name


@pytest.mark.parametrize("name", ["multigrid-digits", "latent-mnist", "trajectory-eth"])
def test_keys_of_an_experiment_are_on_the_page(name: str) -> None:
    def keys(value: object) -> set[str]:
        if isinstance(value, list):
            return set().union(*map(keys, value))
        if not isinstance(value, dict):
            return set()
        return set(value).union(*map(keys, value.values()))

    experiment = read_yaml(ROOT / "params.yaml")["experiments"][name]
    given = {k for k in experiment if k not in ("train", "goals")}
    for stage in experiment["train"].values():
        given |= keys(stage)
    assert given <= set(re.findall(r"^\| `(\w+)` \|", PAGE, re.M))
