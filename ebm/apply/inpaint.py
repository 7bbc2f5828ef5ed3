"""Inpainting: fill the hidden part of an image from a trained model, and from simple rules.

    x_hole  ~  p(x_hole | x_visible)

by the model's own chains with the visible pixels held, grid by grid from coarse to fine. Beside it
stand two rules that know no model: the nearest training image, and diffusion.

Masks are boolean, True where a pixel is visible.

A completion is a draw, and its error is not that of a guess: with x the truth and x' a completion,
both from p(x_hole | x_visible), independent, and m its mean,

    E |x' - x|^2 = 2 E |x - m|^2,

so the best sampler has twice the squared error of the best single guess, m, which blurs. The rules
are guesses; what a sampler is fairly held against them by is the mean of its completions, or the
best of them.

Source: inpainting with multigrid models: Gao, Lu, Zhou, Zhu, Wu, arXiv:1709.08868.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, diags_array
from scipy.sparse.linalg import spsolve

from ebm.apply.boxes import Mask

REVISION = 1

PEAK = 2.0  # the range of a pixel, from -1 to 1

Images = NDArray[np.float32]


class Errors(NamedTuple):
    """How far a fill is from the truth, on the hole.

    Attributes:
        mse: mean squared error of a pixel, pixels in [-1, 1].
        psnr: 10 log10(2^2 / mse), in dB; infinite where mse is 0.
    """

    mse: float
    psnr: float


def check_mask(images: Images, mask: Mask) -> None:
    """Refuse a mask that is not (N, 1, H, W) for images (N, C, H, W), and boolean.

    One that broadcasts by chance would hide other pixels than it says.

    Raises:
        ValueError: it is.
    """
    right = (len(images), 1, *images.shape[2:])
    if mask.shape != right or mask.dtype != np.bool_:
        raise ValueError(
            f"the mask is {mask.dtype} of shape {mask.shape}; for images of shape {images.shape} "
            f"it must be bool of shape {right}, True where a pixel is visible"
        )


def complete(
    learner: Any, images: Images, mask: Mask, times: int, seed: int, pace: float = 1.0
) -> Images:
    """Return different completions of each image, (times, N, C, H, W) in [-1, 1].

    Args:
        learner: a trained learner whose `sample` takes `fixed`.
        images: (N, C, H, W) in [-1, 1]; what is under the hole is not looked at.
        mask: (N, 1, H, W).
        times: completions of each image.
        seed: each completion of each image has a seed of its own, derived from it.
        pace: step size beside a hole, as a share of that of learning.

    Raises:
        ValueError: the mask is of a wrong shape.
    """
    check_mask(images, mask)
    import torch

    from ebm.samplers.noise import seed_range

    visible = torch.from_numpy(np.broadcast_to(mask, images.shape).copy())
    shown = torch.from_numpy(np.where(mask, images, 0).astype(np.float32))
    fills = []
    for time in range(times):
        seeds = seed_range(seed, len(images), time * len(images))
        states = learner.sample(seeds, fixed=(shown, visible), pace=pace)
        fills.append(states[learner.size][-1].clamp(-1, 1).cpu().numpy())
    return np.stack(fills)


def nearest_fill(images: Images, mask: Mask, training: Images) -> Images:
    """Return images with the hole from the training image that is nearest on the visible pixels.

    Args:
        images: (N, C, H, W).
        mask: (N, 1, H, W).
        training: (M, C, H, W).

    Raises:
        ValueError: the mask is of a wrong shape.
    """
    check_mask(images, mask)
    visible = np.broadcast_to(mask, images.shape).reshape(len(images), -1).astype(np.float64)
    shown = images.reshape(len(images), -1) * visible
    known = training.reshape(len(training), -1).astype(np.float64)
    distances = visible @ np.square(known).T - 2 * shown @ known.T  # up to |shown|^2
    return np.where(mask, images, training[distances.argmin(1)])


def diffusion_fill(images: Images, mask: Mask) -> Images:
    """Return images with the hole filled by the steady state of diffusion from its edge.

    In the hole, sum over the neighbours j of pixel i of (u_j - u_i) = 0, the discrete Laplace
    equation; no flow passes the image's border.

    Args:
        images: (N, C, H, W).
        mask: (N, 1, H, W), with a visible pixel in each image.

    Raises:
        ValueError: an image has no visible pixel, or the mask is of a wrong shape.
    """
    check_mask(images, mask)
    if not mask.any((1, 2, 3)).all():
        raise ValueError("an image has no visible pixel; diffusion has nothing to start from")
    return np.stack([diffuse(image, m[0]) for image, m in zip(images, mask, strict=True)])


def diffuse(image: Images, visible: Mask) -> Images:
    """Fill one image (C, H, W) where visible, (H, W), is False."""
    hole = ~visible
    size = int(hole.sum())
    place = np.full(visible.size, -1)
    place[hole.ravel()] = np.arange(size)
    here, there = neighbours(visible.shape)
    asked = place[here] >= 0
    rows, columns, there = place[here[asked]], place[there[asked]], there[asked]
    inner = columns >= 0
    matrix = diags_array(np.bincount(rows, minlength=size).astype(np.float64)) - coo_array(
        (np.ones(inner.sum()), (rows[inner], columns[inner])), (size, size)
    )
    filled = image.copy()
    for values, result in zip(image, filled, strict=True):
        edge = values.ravel()[there[~inner]].astype(np.float64)
        result[hole] = spsolve(matrix.tocsc(), np.bincount(rows[~inner], edge, minlength=size))
    return filled


def neighbours(shape: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return every ordered pair of pixels that share a side, by their flat index."""
    index = np.arange(shape[0] * shape[1]).reshape(shape)
    right = index[:, :-1].ravel(), index[:, 1:].ravel()
    down = index[:-1].ravel(), index[1:].ravel()
    first = np.concatenate([right[0], down[0]])
    second = np.concatenate([right[1], down[1]])
    return np.concatenate([first, second]), np.concatenate([second, first])


def hole_errors(fill: Images, images: Images, mask: Mask) -> Errors:
    """Return the errors over all hidden pixels together.

    Args:
        fill: (N, C, H, W), or (times, N, C, H, W).
        images: (N, C, H, W), the truth.
        mask: (N, 1, H, W).

    Raises:
        ValueError: no pixel is hidden, or the mask is of a wrong shape.
    """
    check_mask(images, mask)
    wrong = np.square(fill.astype(np.float64) - images)
    mse = hole_mean(wrong, mask)
    with np.errstate(divide="ignore"):
        return Errors(mse, float(10 * np.log10(PEAK**2 / np.float64(mse))))


def best_errors(fills: Images, images: Images, mask: Mask) -> Errors:
    """Return the errors over all hidden pixels of each image's best completion.

    The best is the one of least squared error, so that it takes the truth to find it: with enough
    completions, some come near if the truth is likely at all.

    Args:
        fills: (times, N, C, H, W).
        images: (N, C, H, W), the truth.
        mask: (N, 1, H, W).
    """
    wrong = np.where(mask, 0, np.square(fills.astype(np.float64) - images))
    best = wrong.sum((2, 3, 4)).argmin(0)
    return hole_errors(fills[best, np.arange(len(images))], images, mask)


def spread(fills: Images, mask: Mask) -> float:
    """Return how much the completions of one image differ.

        sqrt( mean over hidden pixels of the variance among completions ),    with 1 / (times - 1)

    Where completions are samples of the true conditional law, its square is the mean squared error
    of the best single guess; that of the mean of m completions is (1 + 1 / m) times as much.

    Args:
        fills: (times, N, C, H, W), times 2 or more.
        mask: (N, 1, H, W).

    Raises:
        ValueError: there is one completion alone, or no pixel is hidden.
    """
    if len(fills) < 2:
        raise ValueError("there is 1 completion of each image; their spread needs 2 or more")
    return float(np.sqrt(hole_mean(fills.astype(np.float64).var(0, ddof=1), mask)))


def hole_mean(values: NDArray[np.float64], mask: Mask) -> float:
    """Return the mean over the hidden pixels of values: (..., N, C, H, W)."""
    hole = np.broadcast_to(~mask, values.shape)
    if not hole.any():
        raise ValueError("the mask hides no pixel; there is nothing to measure")
    return float(values[hole].mean())
