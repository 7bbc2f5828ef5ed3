"""A trained model as those use it who draw, rank and fill in."""

from importlib import import_module
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from ebm.apply.given import as_images, as_masks, as_tensor, in_range
from ebm.learn import inpaints

BATCH = 250  # images worked on at once


class Model:
    """A learner with everything under it, ready to sample, to fill in and to score.

    `inpaint` and `score` take tensors or arrays, one image (C, H, W) or many (N, C, H, W), in
    [-1, 1]. What they and `sample` return lies on the CPU and keeps no graph; they work in batches,
    so that memory does not grow with the number of images.

    Attributes:
        learner: the learner of the last stage, standing on those before.
        about: what model.json says.

    Example, of a model of grey images of 8 x 8:

        >>> fills = model.inpaint(image, mask, completions=4, seed=0)
        >>> fills.shape, bool((fills[..., mask] == image[..., mask]).all())
        (torch.Size([4, 1, 8, 8]), True)
        >>> model.score(fills).shape
        torch.Size([4])
    """

    def __init__(self, learner: Any, about: dict[str, Any]) -> None:
        self.learner, self.about = learner, about

    @property
    def channels(self) -> int:
        """Channels of the images: 1 for grey, 3 for colour."""
        return int(self.learner.settings.channels)

    @property
    def size(self) -> int:
        """The side of the images, in pixels."""
        return int(self.learner.size)

    def sample(self, count: int, seed: int = 0, batch: int = BATCH) -> Tensor:
        """Draw images, (count, C, H, W) in [-1, 1]; image i depends on (seed, i) alone.

        Of a model of other items: points (count, D), ways (count, T, 2), tokens (count, L).

        Raises:
            ValueError: count is less than 1, or seed less than 0.
        """
        from ebm.samplers.noise import seed_range

        check(count=(count, 1), seed=(seed, 0))
        parts = [
            self.learner.sample(seed_range(seed, min(batch, count - first), first))
            for first in range(0, count, batch)
        ]
        x = torch.cat([part[self.size][-1] for part in parts]).cpu()
        return x.clamp(-1, 1) if x.ndim == 4 else x

    def inpaint(
        self,
        image: Any,
        mask: Any,
        completions: int = 1,
        seed: int = 0,
        *,
        pace: float = 1.0,
        batch: int = BATCH,
    ) -> Tensor:
        """Fill the hidden part of images by the model's chains, the visible pixels held.

        Args:
            image: (C, H, W) or (N, C, H, W) in [-1, 1]; what is hidden is not looked at.
            mask: boolean, (H, W) or (1, H, W) for all images or (N, 1, H, W): True where the image
                is visible and kept, False where it is filled. All False is plain sampling.
            completions: different fills of each image.
            seed: completion k of image n depends on (seed, k N + n) and the image alone.
            pace: step size, as a share of that of learning, in (0, 1]: less where whole steps
                overshoot beside a hole, as the experiment's apply.inpaint.pace says.
            batch: chains run at once.

        Returns:
            (completions, C, H, W) of one image, (completions, N, C, H, W) of many, in [-1, 1].

        Raises:
            ValueError: the learner cannot inpaint, or a shape, type or range is wrong.
        """
        from ebm.samplers.noise import seed_range

        check(completions=(completions, 1), seed=(seed, 0))
        if not 0 < pace <= 1:
            raise ValueError(f"pace is {pace}; it must be above 0 and at most 1")
        self.check_inpaints()
        images = as_images(image, self.channels, self.size)
        visible = as_masks(mask, len(images), self.size).expand_as(images).to(images.device)
        shown = torch.where(visible, in_range(images, visible), 0)
        parts = []
        for first in range(0, completions * len(images), batch):
            seeds = seed_range(seed, min(batch, completions * len(images) - first), first)
            rows = [i % len(images) for i in range(first, first + len(seeds))]
            states = self.learner.sample(seeds, fixed=(shown[rows], visible[rows]), pace=pace)
            parts.append(states[self.size][-1].clamp(-1, 1).cpu())
        return torch.cat(parts).reshape(completions, *as_tensor(image).shape)

    def translate(self, image: Any, seed: int = 0, *, keep: int = 0) -> Tensor:
        """Take images of the source's domain to the model's own, by the chain that it learned with.

        Args:
            image: (C, H, W) or (N, C, H, W) in [-1, 1].
            seed: the noise of image n depends on (seed, n) alone.
            keep: keep the chain's state every so many steps; 0 keeps the end alone.

        Returns:
            The translations, shaped like `image`, in [-1, 1]; with `keep` the states, the images
            first, the end last, stacked along a new first axis.

        Raises:
            ValueError: the chains start elsewhere, or the type, shape or range is wrong.

        Example, of a model whose chains start at another domain's images:

            >>> translator.translate(image).shape
            torch.Size([1, 8, 8])
            >>> translator.translate(image, keep=2).shape  # the image, after 2 steps, after 4
            torch.Size([3, 1, 8, 8])
        """
        from ebm.samplers.noise import seed_range

        check(seed=(seed, 0), keep=(keep, 0))
        self.check_translates()
        x = in_range(as_images(image, self.channels, self.size))
        states = self.learner.translate(x, seed_range(seed, len(x)), keep=keep)
        path = torch.stack([state.clamp(-1, 1).cpu() for state in states])
        path = path.reshape(len(states), *as_tensor(image).shape)
        return path if keep else path[-1]

    def reconstruct(self, image: Any) -> Tensor:
        """Return what the model makes of its own z of images, shaped like them.

        Args:
            image: (C, H, W) or (N, C, H, W) in [-1, 1].

        Raises:
            ValueError: the model has no z, or the type, shape or range is wrong.

        Example, of a model with a z:

            >>> latent.reconstruct(image).shape
            torch.Size([1, 8, 8])
        """
        self.check_latent()
        x = in_range(as_images(image, self.channels, self.size))
        made: Tensor = latent().reconstruct(self.learner, x)
        return made.clamp(-1, 1).reshape(as_tensor(image).shape)

    def interpolate(self, first: Any, last: Any, frames: int = 10) -> Tensor:
        """Return what lies between the z of one image and that of another, (frames, C, H, W).

        Args:
            first, last: (C, H, W) each, in [-1, 1].
            frames: images of the way, both ends as the model makes them included.

        Raises:
            ValueError: the model has no z, frames is less than 2, or an image is wrong.

        Example, of a model with a z:

            >>> way = latent.interpolate(image, other, frames=5)
            >>> way.shape, torch.allclose(way[0], latent.reconstruct(image), atol=1e-5)
            (torch.Size([5, 1, 8, 8]), True)
        """
        check(frames=(frames, 2))
        self.check_latent()
        pair = [in_range(as_images(each, self.channels, self.size)) for each in (first, last)]
        if [len(each) for each in pair] != [1, 1]:
            raise ValueError("first and last are one image each, (C, H, W)")
        a, b = latent().infer(self.learner, torch.cat(pair)).split(1)
        made: Tensor = latent().decode(self.learner, latent().between(a, b, frames)[0])
        return made.clamp(-1, 1)

    def features(self, x: Tensor) -> Tensor:
        """Return the learned features of x: (N, C, H, W) in [-1, 1], as (N, D)."""
        return self.learner.features(x)

    def score(self, images: Any, batch: int = BATCH) -> Tensor:
        """Return f(x) of images, () of one (C, H, W), (N,) of many (N, C, H, W): high is likely.

        f(x) = log p(x) + log Z with a log Z that nobody knows: compare scores of one model alone.

        Raises:
            ValueError: the type, shape or range is wrong.
        """
        x = in_range(as_images(images, self.channels, self.size))
        with torch.no_grad():
            scores = torch.cat([self.learner.score(part).cpu() for part in x.split(batch)])
        return scores.reshape(as_tensor(images).shape[:-3])

    def check_translates(self) -> None:
        """Refuse to translate by chains that did not learn from another domain's images."""
        if not getattr(self.learner.settings, "translates", False):
            start = getattr(getattr(self.learner.settings, "start", None), "start", "noise")
            raise ValueError(
                f"the model's chains start at {start}; it takes one whose start is source to "
                "translate"
            )

    def check_latent(self) -> None:
        """Refuse what needs a latent z where the learner has none."""
        if not hasattr(self.learner, "posterior"):
            raise ValueError(
                f"the learner {self.about['learner']} has no latent z; this takes a latent-space "
                "model, such as latent-mnist"
            )

    def check_inpaints(self) -> None:
        """Refuse what needs held pixels where the learner cannot hold them."""
        if not inpaints(self.about["learner"]):
            raise ValueError(
                f"the learner {self.about['learner']} cannot inpaint: its chains hold no pixels"
            )


def latent() -> Any:
    """Return `ebm.apply.latent`, imported when it is used: no stage that loads a model reads it."""
    return import_module("ebm.apply.latent")


def check(**numbers: tuple[int, int]) -> None:
    """Refuse a number, given as (value, least), that is no whole number of at least its least."""
    for name, (value, least) in numbers.items():
        if not isinstance(value, Integral) or value < least:
            raise ValueError(f"{name} is {value!r}; it must be a whole number, {least} or more")
