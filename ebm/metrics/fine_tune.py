"""Error of a network trained whole on few labels, from a learned start or from scratch.

    p(y = k | x) = softmax_k(W s (h(x) - m) + b),    theta, W, b  <-  AdamW on  -log p(y_i | x_i)

over the labelled rows i alone; h are the network's features, with parameters theta, and m and s
the mean and the scale of each feature at the start, which stay.

Two starts, which differ in theta alone, and from there on one procedure for both:

from_learned   theta of a learned EBM
from_scratch   theta at random, as the layers themselves draw it

W and b begin as the logistic regression on the features of the start, for each draw, so that
training begins at its error: a head that begins at random would first send noise down into the
features, and few labels do not bring them back. Scratch is given the same head and scaling, so
that theta is all that is compared.

Protocol: the same draws of labelled rows, the same batches (each class as often, rows drawn with
replacement), the same updates and the same rates to choose from; the rate falls linearly to 0 over
the updates. At fixed checkpoints the error on the validation split is taken; the rate and the
checkpoint with the smallest mean over the draws are chosen, of equals the smallest rate and the
earliest. The test split is used once, for the error that is reported. A choice at the edge of what
was allowed, of the rates or the checkpoints, says that a wider one might have helped.

Sample size: as in few_labels.py. The validation labels are not counted among the few.

Source: an EBM's network as the start of a classifier, against the same network from scratch:
multigrid learning, arXiv:1709.08868; AdamW: arXiv:1711.05101; the head first, then the
whole, so that the features stay good: arXiv:2202.10054.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from ebm.metrics.features import Features, extract
from ebm.metrics.few_labels import Array, Labels, Splits, few_labels, scaling

REVISION = 1

BATCH = 500  # images shown at once when nothing is learned
SCALED_BY = 1000  # training images that the features of an untrained network are scaled by

State = dict[str, Tensor]


class Images(NamedTuple):
    """Images and labels of the three splits: x: (N, C, H, W) in [-1, 1], y: (N,) each."""

    train: tuple[NDArray[np.float32], Labels]
    validation: tuple[NDArray[np.float32], Labels]
    test: tuple[NDArray[np.float32], Labels]


class Recipe(NamedTuple):
    """How a classifier is trained, whatever it starts from.

    Attributes:
        updates: steps of AdamW.
        batch: images in a step.
        rates: first learning rates, among which the validation split chooses.
        decay: of AdamW's weights.
        checks: checkpoints, at equal distances, the last after all updates.
    """

    updates: int
    batch: int
    rates: Sequence[float]
    decay: float
    checks: int


class FineTuned(NamedTuple):
    """What came out.

    Attributes:
        errors: (draws,), the share of wrong test rows in each draw, in [0, 1].
        rate: chosen on the validation split.
        updates: after which training was stopped, chosen likewise.
    """

    errors: Array
    rate: float
    updates: int


class Classifier(nn.Module):
    """A linear head on a network's features, which are scaled; the equation is this file's.

    Args:
        network: has `features`, which turns (N, C, H, W) into (N, D).
        mean: (D,), taken off the features.
        scale: (D,), of what is left.
        head: from D features to K classes.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, network: nn.Module, mean: Array, scale: Array, head: nn.Linear) -> None:
        super().__init__()
        self.network, self.head = network, head
        self.register_buffer("mean", torch.from_numpy(mean).float())
        self.register_buffer("scale", torch.from_numpy(scale).float())

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, (N, K), of x: (N, C, H, W) in [-1, 1]."""
        h = cast(Features, self.network).features(x)
        return self.head((h - self.mean) * self.scale)


def from_learned(
    network: nn.Module, mean: Array, scale: Array, model: LogisticRegression
) -> Classifier:
    """Return a start that classifies as a logistic regression on a network's features does.

    Args:
        network: a copy is taken.
        mean: (D,), of its features.
        scale: (D,), that the regression's features were multiplied by.
        model: the logistic regression on the scaled features.
    """
    weight, bias = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # one row tells the second class from the first
        weight, bias = np.vstack([-weight, weight]) / 2, np.hstack([-bias, bias]) / 2
    head = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(bias))
    return Classifier(copy.deepcopy(network), mean, scale, head)


def from_scratch(
    network: nn.Module, images: Images, rows: Labels, strengths: Sequence[float], seed: int
) -> Classifier:
    """Return a start whose network has learned nothing.

    Args:
        network: gives the architecture.
        images: unlabelled training images scale the features, the validation split chooses C.
        rows: the labelled rows of the training split.
        strengths: the values of C for the first head.
        seed: of the network's weights.
    """
    fresh, (x, y) = untrained(network, seed), images.train
    some = np.arange(min(SCALED_BY, len(x))) * len(x) // min(SCALED_BY, len(x))
    mean, scale = scaling(seen(fresh, x[some]))
    learned = ((seen(fresh, x[rows]) - mean) * scale, y[rows])
    chosen = ((seen(fresh, images.validation[0]) - mean) * scale, images.validation[1])
    found = few_labels(Splits(learned, chosen, chosen), [np.arange(len(rows))], strengths)
    return from_learned(fresh, mean, scale, found.models[0])


def seen(network: nn.Module, x: NDArray[np.float32]) -> Array:
    """Return a network's features, (N, D), of x: (N, C, H, W) in [-1, 1]."""
    return extract(cast(Features, network), x, BATCH)


def untrained(network: nn.Module, seed: int) -> nn.Module:
    """Return a copy of a network whose layers have drawn their weights anew.

    Raises:
        ValueError: a module has parameters of its own and no `reset_parameters`.
    """
    fresh = copy.deepcopy(network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        reset(fresh)
    return fresh


def reset(module: nn.Module, name: str = "") -> None:
    """Let a module draw its weights anew: itself where it can, else each of its parts."""
    anew = getattr(module, "reset_parameters", None)
    if callable(anew):
        anew()
        return
    if next(module.parameters(recurse=False), None) is not None:
        raise ValueError(
            f"{name or type(module).__name__} has parameters and no reset_parameters; "
            "give it one, so that the network can be trained from scratch"
        )
    for child, part in module.named_children():
        reset(part, f"{name}.{child}" if name else child)


def fine_tune(
    starts: Sequence[Classifier],
    images: Images,
    draws: Sequence[Labels],
    recipe: Recipe,
    seed: int,
    told: Callable[[], None] = lambda: None,
) -> FineTuned:
    """Return the test errors of classifiers trained whole on each draw: same bits, same threads.

    Args:
        starts: one a draw; they stay as they are.
        images: of the three splits.
        draws: the labelled rows of the training split.
        recipe: how to train, and what to choose among.
        seed: of the batches.
        told: called after each training.

    Raises:
        ValueError: starts and draws are not as many, or the recipe leaves nothing to choose.
    """
    if len(starts) != len(draws) or not draws or not recipe.rates or min(recipe.rates) <= 0:
        raise ValueError(
            f"there are {len(starts)} starts, {len(draws)} draws and the rates "
            f"{list(recipe.rates)}; give a start for each draw, and rates above 0"
        )
    best, least = Chosen(0.0, 0, []), np.inf
    for rate in sorted(recipe.rates):
        runs = []
        for place, (start, rows) in enumerate(zip(starts, draws, strict=True)):
            runs.append(list(train(start, images, rows, recipe, rate, seed + place)))
            told()
        for states in zip(*runs, strict=True):
            mean = float(np.mean([state.error for state in states]))
            if mean < least:
                best, least = Chosen(rate, states[0].updates, [s.state for s in states]), mean
    errors = []
    for start, state in zip(starts, best.states, strict=True):
        model = copy.deepcopy(start)
        model.load_state_dict(state)
        errors.append(error(model, images, images.test))
    return FineTuned(np.array(errors), best.rate, best.updates)


class Chosen(NamedTuple):
    """The best so far: its rate, its updates, and the classifiers' states, one a draw."""

    rate: float
    updates: int
    states: list[State]


class Checkpoint(NamedTuple):
    """A classifier on its way: after how many updates, its validation error, its state."""

    updates: int
    error: float
    state: State


def train(
    start: Classifier, images: Images, rows: Labels, recipe: Recipe, rate: float, seed: int
) -> Iterator[Checkpoint]:
    """Train a copy of a start on some rows; yield it at each checkpoint."""
    model = copy.deepcopy(start).requires_grad_(True)
    x, y = torch.from_numpy(images.train[0][rows]), places(images, images.train[1][rows])
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=recipe.decay)
    fall = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, total_iters=recipe.updates)
    checks = {recipe.updates * k // recipe.checks for k in range(1, recipe.checks + 1)}
    chosen = batches(y.numpy(), recipe.batch, recipe.updates, seed)
    for update, batch in enumerate(chosen, start=1):
        model.train()
        optimiser.zero_grad(set_to_none=True)
        F.cross_entropy(model(x[batch]), y[batch]).backward()
        optimiser.step()
        fall.step()
        if update in checks:
            state = {key: value.clone() for key, value in model.state_dict().items()}
            yield Checkpoint(update, error(model, images, images.validation), state)


def batches(y: Labels, batch: int, updates: int, seed: int) -> Iterator[Labels]:
    """Yield rows for each update, drawn with replacement, each class as often as any, to one.

    Args:
        y: (N,), labels.
        batch: rows in an update.
        updates: how many batches.
        seed: of the rows.
    """
    random = np.random.default_rng(seed)
    order, sizes = np.argsort(y, kind="stable"), np.unique(y, return_counts=True)[1]
    first = np.cumsum(sizes) - sizes
    for _ in range(updates):
        kinds = (np.arange(batch) + random.integers(len(sizes))) % len(sizes)
        yield order[first[kinds] + random.integers(sizes[kinds])]


def places(images: Images, y: Labels) -> Tensor:
    """Return the places, (N,), of labels y: (N,) among the classes of the training split."""
    return torch.from_numpy(np.searchsorted(np.unique(images.train[1]), y))


def error(model: Classifier, images: Images, split: tuple[NDArray[np.float32], Labels]) -> float:
    """Return the share of a split's images whose label the classifier misses, in [0, 1]."""
    model.eval()
    with torch.no_grad():
        parts = [model(part).argmax(1) for part in torch.from_numpy(split[0]).split(BATCH)]
    return float(np.mean(np.unique(images.train[1])[torch.cat(parts).numpy()] != split[1]))
