import itertools

import numpy as np
import pytest

from ebm.apply.long_chains import PHRASES, judge, look, nearest, regime, word

RNG = np.random.default_rng(0)
GROUP = 16


def strokes(count: int) -> np.ndarray:
    """Images like a digit's: one bright stroke somewhere on black, with a bit of noise."""
    place, line = RNG.uniform(1, 6, (count, 2, 1, 1)), np.arange(8)
    blob = np.exp(-((line[:, None] - place[:, 0]) ** 2) / 9 - (line - place[:, 1]) ** 2 / 2)
    x = 1.5 * blob - 0.8 + 0.1 * RNG.standard_normal((count, 8, 8))
    return x[:, None].astype(np.float32)


TRAIN, TEST = strokes(1000), strokes(200)
REAL = look(TEST, TRAIN, GROUP)
NOISE = {
    "uniform": RNG.uniform(-1, 1, (GROUP, 1, 8, 8)),
    "faint": 0.3 * RNG.standard_normal((GROUP, 1, 8, 8)),
    "of the data's mean and deviation": RNG.normal(TRAIN.mean(), TRAIN.std(), (GROUP, 1, 8, 8)),
    "of the data's values at each pixel": np.stack(
        [RNG.choice(TRAIN[:, 0, i, j], GROUP) for i in range(8) for j in range(8)], 1
    ).reshape(GROUP, 1, 8, 8),
}


def told(images: np.ndarray) -> str:
    return word(look(images.astype(np.float32), TRAIN, GROUP), REAL)


def test_look_tells_contrast_variety_saturation_and_distance() -> None:
    same = np.broadcast_to(np.where(np.arange(64).reshape(8, 8) < 32, -1.0, 1.0), (50, 1, 8, 8))
    x = same.astype(np.float32)
    assert look(x, x[:1], 50) == (1.0, 0.0, 1.0, 0.0, 0.0)
    assert look(x, 0.5 * x[:1], 50).distance == pytest.approx(0.5)
    one = np.array([0.0, 0.1, 0.3, 9.0]).reshape(4, 1, 1, 1)
    np.testing.assert_allclose(nearest(one, one, fellows=True), [0.1, 0.1, 0.2, 8.7])
    np.testing.assert_allclose(nearest(one, one), 0)


@pytest.mark.parametrize("scale", [0.3, 1.0])
def test_words_do_not_depend_on_the_contrast_of_the_data(scale: float) -> None:
    train, test, noise = (scale * x for x in (TRAIN, TEST, NOISE["faint"].astype(np.float32)))
    real = look(test, train, GROUP)
    assert word(look(test[:GROUP], train, GROUP), real) == "steady"
    assert word(look(noise * real.contrast / noise.std(), train, GROUP), real) == "strays"


@pytest.mark.parametrize(
    ("images", "right"),
    [
        (TEST[:GROUP], "steady"),
        (TEST[:GROUP] + 0.05 * RNG.standard_normal((GROUP, 1, 8, 8)), "steady"),
        (np.where(TEST[:GROUP] > -0.4, 1.0, -1.0), "saturates"),
        (0.5 * TEST[:GROUP], "collapses"),  # fades
        (np.broadcast_to(TEST[:1], (GROUP, 1, 8, 8)), "collapses"),  # all the same image
        (np.concatenate([TEST[:4]] * 4), "collapses"),  # a few of them, whatever their spread
        (np.full((GROUP, 1, 8, 8), np.nan), "flees"),
        (np.full((GROUP, 1, 8, 8), 1e6), "flees"),
    ],
)
def test_states_are_judged_beside_the_data(images: np.ndarray, right: str) -> None:
    assert told(images) == right


@pytest.mark.parametrize("name", NOISE)
def test_noise_of_any_contrast_is_not_like_the_data(name: str) -> None:
    assert told(NOISE[name]) not in ("steady", "saturates")
    if "pixel" in name:  # contrast is the data's own, so distance alone can tell
        assert told(NOISE[name]) == "strays"


@pytest.mark.parametrize(
    ("words", "right"),
    [
        (("steady", "steady", "steady"), "converging"),
        (("strays", "steady", "steady"), "converging"),  # samples want more steps
        (("steady", "saturates", "steady"), "synthesising"),
        (("steady", "steady", "collapses"), "synthesising"),
        (("steady", "flees", "flees"), "synthesising"),
        (("strays", "steady", "strays"), "synthesising"),
        (("saturates", "saturates", "saturates"), "saturated"),
        (("saturates", "saturates", "steady"), "saturated"),
        (("strays", "strays", "strays"), "not synthesising"),  # f = 0
        (("strays", "strays", "steady"), "not synthesising"),  # contrastive divergence, too short
        (("collapses", "collapses", "steady"), "not synthesising"),
        (("flees", "flees", "flees"), "diverging"),
    ],
)
def test_regime_follows_from_the_three_words(words: tuple[str, str, str], right: str) -> None:
    assert regime(*words) == right


def test_every_regime_is_one_of_five_and_comes_with_what_happens() -> None:
    names = {"converging", "synthesising", "saturated", "diverging", "not synthesising"}
    found = [judge((20, 2000), *words) for words in itertools.product(PHRASES, repeat=3)]
    assert {each.name for each in found} == names
    assert judge((20, 2000), "steady", "saturates", "strays").evidence == (
        "samples, by 20 steps, are like the data; chains of 2000 steps from noise saturate: pixels "
        "run to the ends of their range; chains of 2000 steps from data are unlike any data"
    )
