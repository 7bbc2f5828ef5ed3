from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ebm.metrics.features import extract
from ebm.metrics.few_labels import Splits, draw_labels, few_labels, scaling, standardise
from ebm.metrics.fine_tune import (
    Classifier,
    Images,
    Recipe,
    batches,
    error,
    fine_tune,
    from_learned,
    from_scratch,
    train,
    untrained,
)
from ebm.networks.convnet import ConvNet
from ebm.networks.time_resnet import TimeResNet

RECIPE = Recipe(updates=12, batch=8, rates=[0.0001, 0.01], decay=0.01, checks=3)
NOISE = 15  # features that say nothing


class Toy(nn.Module):
    """tanh(A x); what it learned, where it did, is to look at the first two pixels alone."""

    def __init__(self, learned: bool) -> None:
        super().__init__()
        self.layer = nn.Linear(2 + NOISE, 4)
        if learned:
            with torch.no_grad():
                self.layer.weight.zero_()[:2, :2] = torch.eye(2)
                self.layer.bias.zero_()

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.layer(x.flatten(1)))


def blobs(count: int, seed: int, kinds: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Classes that lie apart in two of many pixels; the labels have gaps: 1, 4, 7."""
    random = np.random.default_rng(seed)
    y = random.integers(0, kinds, count)
    turn = 2 * np.pi * y / kinds
    x = random.standard_normal((count, 2 + NOISE))
    x[:, :2] = 0.25 * x[:, :2] + 0.8 * np.stack([np.cos(turn), np.sin(turn)], 1)
    return x.astype(np.float32)[:, None, None, :], 3 * y + 1


def images(kinds: int = 3) -> Images:
    return Images(blobs(300, 0, kinds), blobs(100, 1, kinds), blobs(200, 2, kinds))


def drawn(given: Images, count: int = 9, draws: int = 2) -> list[np.ndarray]:
    return [draw_labels(given.train[1], count, seed) for seed in range(draws)]


def scratch(given: Images, draws: int = 2) -> list[Classifier]:
    rows = drawn(given, draws=draws)
    return [from_scratch(Toy(True), given, rows[k], [0.1, 10.0], k) for k in range(draws)]


def learned(given: Images, rows: list[np.ndarray]) -> tuple[list[Classifier], Any]:
    network = Toy(True)
    own = Splits(*((extract(network, x, 50), y) for x, y in given))
    found = few_labels(standardise(own), rows, [0.1, 10.0])
    scaled = scaling(own.train[0])
    return [from_learned(network, *scaled, model) for model in found.models], found


@pytest.mark.parametrize("kinds", [2, 3])
def test_learned_start_has_the_very_probabilities_of_the_regression(kinds: int) -> None:
    given = images(kinds)
    rows = drawn(given, 8)
    starts, found = learned(given, rows)
    h = standardise(Splits(*((extract(Toy(True), x, 50), y) for x, y in given))).test[0]
    for start, model, wrong in zip(starts, found.models, found.errors, strict=True):
        with torch.no_grad():
            p = start(torch.from_numpy(given.test[0])).softmax(1).numpy()
        assert p == pytest.approx(model.predict_proba(h), abs=1e-5)
        assert error(start, given, given.test) == wrong


def test_start_that_knows_what_matters_beats_scratch() -> None:
    given = images()
    rows = drawn(given)
    tuned = fine_tune(learned(given, rows)[0], given, rows, RECIPE, seed=0)
    alone = fine_tune(scratch(given), given, rows, RECIPE, seed=0)
    assert tuned.errors.shape == alone.errors.shape == (2,)
    assert tuned.errors.max() < 0.05
    assert alone.errors.min() > 0.1


def test_all_layers_are_trained_and_the_starts_stay_as_they_are() -> None:
    given = images()
    start = scratch(given, 1)[0].requires_grad_(False)
    before = {key: value.clone() for key, value in start.state_dict().items()}
    last = list(train(start, given, drawn(given)[0], RECIPE, 0.01, 0))[-1]
    assert all(torch.equal(value, before[key]) for key, value in start.state_dict().items())
    changed = {key for key, value in last.state.items() if not torch.equal(value, before[key])}
    assert changed == {"network.layer.weight", "network.layer.bias", "head.weight", "head.bias"}


def test_scratch_learns_what_labels_say_given_many_of_them() -> None:
    given = images()
    many = RECIPE._replace(updates=150, batch=30, rates=[0.02])
    found = fine_tune(scratch(given, 1), given, [np.arange(300)], many, seed=0)
    assert found.errors[0] < 0.08


def test_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    given = images()
    rows = drawn(given)
    first, again, other = (
        fine_tune(scratch(given), given, rows, RECIPE, seed=seed) for seed in (1, 1, 50)
    )
    assert (first.errors == again.errors).all() and first[1:] == again[1:]
    assert (first.errors != other.errors).any() or first[1:] != other[1:]
    one, two, three = (scratch(given, n)[-1].state_dict() for n in (1, 1, 2))
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not torch.equal(one["head.weight"], three["head.weight"])


def test_rate_and_updates_are_chosen_on_validation_never_on_test() -> None:
    given = images()
    rows, starts = drawn(given), scratch(images())
    found = fine_tune(starts, given, rows, RECIPE, seed=0)
    x, y = given.test
    shuffled = given._replace(test=(x, np.random.default_rng(0).permutation(y)))
    blind = fine_tune(starts, shuffled, rows, RECIPE, seed=0)
    assert blind[1:] == found[1:] and (blind.errors != found.errors).any()
    as_test = given._replace(test=given.validation)
    alone = {
        rate: fine_tune(starts, as_test, rows, RECIPE._replace(rates=[rate]), seed=0)
        for rate in RECIPE.rates
    }
    least = min(each.errors.mean() for each in alone.values())
    assert alone[found.rate].errors.mean() == least
    assert found.updates == alone[found.rate].updates


def test_a_rate_that_ruins_is_not_chosen() -> None:
    given = images()
    rows = drawn(given)
    wild = RECIPE._replace(rates=[100.0, 0.001])
    assert fine_tune(learned(given, rows)[0], given, rows, wild, seed=0).rate == 0.001


def test_only_the_drawn_training_labels_are_learned_from() -> None:
    given = images()
    rows = drawn(given, draws=1)
    x, y = given.train
    scrambled = np.random.default_rng(0).permutation(y)
    scrambled[rows[0]] = y[rows[0]]
    starts = scratch(given, 1)
    same = fine_tune(starts, given._replace(train=(x, scrambled)), rows, RECIPE, seed=0)
    assert same.errors == fine_tune(starts, given, rows, RECIPE, seed=0).errors


def test_batches_have_each_class_as_often_to_one_whatever_its_rows() -> None:
    y = np.array([5] * 20 + [2] * 3 + [9] * 7)
    seen = np.stack(list(batches(y, batch=8, updates=400, seed=3)))
    assert seen.shape == (400, 8)
    counts = np.stack([(y[seen] == label).sum(1) for label in (2, 5, 9)])
    assert counts.min() == 2 and counts.max() == 3
    share = np.bincount(seen.ravel(), minlength=len(y)) / seen.size
    assert share == pytest.approx(1 / 3 / np.array([20] * 20 + [3] * 3 + [7] * 7), rel=0.35)


def test_untrained_copy_is_drawn_anew_by_its_layers_and_leaves_the_original() -> None:
    network = ConvNet(4, 1, 64)
    with torch.no_grad():
        for value in network.parameters():
            value.fill_(3.0)
    fresh, same, other = (untrained(network, seed) for seed in (0, 0, 1))
    torch.manual_seed(0)
    built = ConvNet(4, 1, 64)
    pairs = zip(*(each.parameters() for each in (fresh, same, other, built)), strict=True)
    for a, b, c, d in pairs:
        assert torch.equal(a, b) and not (a == 3).any()
        if a.std() > 0:  # biases of convolutions start at 0
            assert not torch.equal(a, c)
            assert a.std().item() == pytest.approx(d.std().item(), rel=0.5)
    assert all((value == 3).all() for value in network.parameters())
    assert fresh.body[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_untrained_network_starts_with_scaled_features() -> None:
    given = images()
    start = scratch(given, 1)[0]
    h = torch.from_numpy(extract(start.network, given.train[0], 50)).float()  # type: ignore[arg-type]
    scaled = (h - start.mean) * start.scale
    assert scaled.mean(0).numpy() == pytest.approx(np.zeros(4), abs=1e-5)
    assert scaled.std(0, correction=0).numpy() == pytest.approx(np.ones(4), abs=1e-4)


def test_network_that_cannot_be_drawn_anew_is_refused() -> None:
    class Odd(Toy):
        def __init__(self) -> None:
            super().__init__(True)
            self.own = nn.Parameter(torch.zeros(1))

    with pytest.raises(ValueError, match="Odd has parameters and no reset_parameters"):
        untrained(Odd(), 0)


@pytest.mark.parametrize("rates", [[], [0.0, 0.1]])
def test_rates_that_are_not_positive_and_starts_that_lack_are_refused(rates: list) -> None:
    given = images()
    with pytest.raises(ValueError, match="rates above 0"):
        fine_tune(scratch(given), given, drawn(given), RECIPE._replace(rates=rates), 0)
    with pytest.raises(ValueError, match="there are 1 starts, 2 draws"):
        fine_tune(scratch(given, 1), given, drawn(given), RECIPE, 0)


def test_each_training_is_told() -> None:
    given, told = images(), []
    fine_tune(scratch(given), given, drawn(given), RECIPE, 0, lambda: told.append(1))
    assert len(told) == 2 * len(RECIPE.rates)


def test_nothing_of_a_network_of_levels_is_left_when_it_is_drawn_anew() -> None:
    learned = TimeResNet(channels=1, width=4, multiples=[1, 2], blocks=1, levels=3)
    with torch.no_grad():
        for value in learned.parameters():
            value.fill_(0.7)
    fresh = untrained(learned, 0)
    kept = [n for n, value in fresh.named_parameters() if bool((value == 0.7).any())]
    assert not kept
