import numpy as np
import pytest

from ebm.apply.long_chains import Look, look, verdict, word

RNG = np.random.default_rng(0)
DATA = RNG.uniform(-0.8, 0.8, (50, 1, 8, 8)).astype(np.float32)


def test_look_tells_contrast_variety_and_saturation() -> None:
    same = np.broadcast_to(np.where(np.arange(64).reshape(8, 8) < 32, -1.0, 1.0), (50, 1, 8, 8))
    assert look(same.astype(np.float32)) == Look(1.0, 0.0, 1.0)
    assert look(DATA).contrast == pytest.approx(1.6 / 12**0.5, rel=0.02)
    assert look(DATA).saturated == 0


@pytest.mark.parametrize(
    ("images", "right"),
    [
        (DATA[::-1], "steady"),
        (np.sign(DATA), "saturates"),
        (0.5 * DATA, "collapses"),  # fades
        (np.broadcast_to(DATA[:1], DATA.shape), "collapses"),  # all the same image
        (np.full_like(DATA, np.nan), "collapses"),
    ],
)
def test_states_are_judged_beside_the_data(images: np.ndarray, right: str) -> None:
    assert word(look(images), look(DATA)) == right


@pytest.mark.parametrize(
    ("words", "right"),
    [
        (("steady", "steady", "steady"), "converging"),
        (("steady", "saturates", "steady"), "merely synthesising.*saturates"),
        (("steady", "steady", "collapses"), "merely synthesising.*collapses"),
        (("saturates", "steady", "steady"), "even K steps"),
    ],
)
def test_verdict_tells_a_converging_from_a_merely_synthesising_model(
    words: tuple[str, str, str], right: str
) -> None:
    import re

    assert re.match(right, verdict(*words))
