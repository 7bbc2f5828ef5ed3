"""Validity, uniqueness and novelty by both denominators; properties; their distributions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebm.metrics.molecules import canonical, counts
from ebm.metrics.properties import properties, wasserstein

pytest.importorskip("rdkit")

NAMES = st.sampled_from([None, "C", "CC", "CO", "CN"])


def test_both_denominators_by_hand() -> None:
    generated = canonical(["OC", "CO", "C(", "NC", "", "c1cccc1", "CCC", "C"])
    assert generated == ["CO", "CO", None, "CN", None, None, "CCC", "C"]
    shares = counts(generated, {"C", "CN"}).shares()
    assert shares == {
        "valid": 5 / 8,
        "unique_of_valid": 4 / 5,
        "unique_of_all": 4 / 8,
        "novel_of_unique": 2 / 4,
        "novel_of_all": 2 / 8,
    }


@given(st.lists(NAMES, min_size=1), st.sets(NAMES.filter(bool)))
def test_shares_of_all_never_exceed_validity(generated: list[str | None], known: set[str]) -> None:
    found = counts(generated, known)
    assert found.all >= found.valid >= found.unique >= found.novel
    shares = found.shares()
    assert shares["novel_of_all"] <= shares["unique_of_all"] <= shares["valid"]
    assert all(0 <= share <= 1 for share in shares.values())


def test_nothing_valid_gives_zeros_and_nothing_at_all_is_refused() -> None:
    assert set(counts([None, None], set()).shares().values()) == {0.0}
    with pytest.raises(ValueError, match="there are 0 generated strings; give 1 or more"):
        counts([], set())


def test_what_breaks_a_valence_is_not_valid_and_stereochemistry_counts() -> None:
    assert canonical(["C(C)(C)(C)(C)C", "[Xx]", "C" * 300])[:2] == [None, None]
    assert len(set(canonical(["C[C@H](N)O", "C[C@@H](N)O", "CC(N)O"]))) == 3


def test_properties_of_benzene_and_ethanol() -> None:
    found = properties(["c1ccccc1", "CCO"])
    assert np.allclose(found["weight"], [78.114, 46.069], atol=1e-3)
    assert np.allclose(found["log_p"], [1.6866, -0.0014], atol=1e-4)
    assert ((found["qed"] > 0) & (found["qed"] < 1)).all()
    assert properties([])["qed"].shape == (0,)
    with pytest.raises(ValueError, match="string 1 is 'C\\(', which has no molecule"):
        properties(["C", "C("])


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=8), st.integers(-3, 3))
def test_distance_of_a_shifted_sample_is_the_shift(values: list[int], shift: int) -> None:
    moved = [value + shift for value in values]
    assert wasserstein(values, moved) == pytest.approx(abs(shift))
    assert wasserstein(values * 2, moved) == pytest.approx(abs(shift))


def test_distance_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="have 1 and 0 values; give 1 or more"):
        wasserstein([1.0], [])
