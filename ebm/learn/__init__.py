"""Learners by name: one algorithm, one file, named as the seed names it."""

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from ebm.names import hint

if TYPE_CHECKING:  # so that names of learners are known without torch
    from torch import Tensor, nn

LEARNERS = {
    "introspective": "Introspective",
    "latent_belief": "LatentBelief",
    "joint_classifier": "JointClassifier",
    "coarse_to_fine": "CoarseToFine",
    "latent_amortised": "LatentAmortised",
    "latent_prior": "LatentPrior",
    "maximum_likelihood": "MaximumLikelihood",
    "multigrid": "Multigrid",
    "noise_contrastive": "NoiseContrastive",
    "recovery": "Recovery",
}


def learner_class(name: str) -> Any:
    """Return the class of the learner of this name; its settings are its `Settings`.

    Raises:
        ValueError: there is none of this name.
    """
    if name not in LEARNERS:
        raise ValueError(f"there is no learner {name!r}; {hint(name, LEARNERS)}")
    return getattr(import_module(f"ebm.learn.{name}"), LEARNERS[name])


class Trained(Protocol):
    """What a trained learner is to those who use it: sampling, evaluation, classifiers, reports.

    What a learner is while it learns: `ebm.learner.Learner`.

    Attributes:
        networks: what was learned, averaged.
        settings: those it was made of, `channels` of the images among them; D of points.
        size: the key of the finest states that `sample` returns.

    An item is an image (C, H, W), or a point (D,); what is said of N images holds for N points,
    (N, D), whose `size` is D.
    """

    networks: "nn.Module"
    settings: Any

    @property
    def size(self) -> int:
        """The side of the images; of points, D."""

    @property
    def feature_network(self) -> "nn.Module":
        """What `features` shows x to: a module with `features`, whose copies may be trained."""

    def sample(self, seeds: Sequence[int], *, keep: int = 0) -> "dict[int, list[Tensor]]":
        """Draw one image a seed; each depends on its own seed alone.

        A learner that inpaints also takes `fixed`, (image, mask) of (N, C, H, W) each: where the
        boolean mask is True the image stays as it is, and `pace`, the share of their step size that
        such chains take.

        Args:
            seeds: N integers.
            keep: keep the chain's state every so many steps, of which the last is the end where
                `keep` divides them; 0 keeps the end alone.

        Returns:
            By size of grid, the states kept, each (N, C, size, size), or (N, size).
        """

    def features(self, x: "Tensor") -> "Tensor":
        """Return learned features, (N, D), of x: (N, C, H, W) in [-1, 1]."""

    def score(self, x: "Tensor") -> "Tensor":
        """Return f(x), (N,), of x: (N, C, H, W) in [-1, 1]: high is likely."""


def inpaints(name: str) -> bool:
    """Tell whether the learner of this name can hold pixels while it samples."""
    import inspect

    return "fixed" in inspect.signature(learner_class(name).sample).parameters


def has_chain(name: str) -> bool:
    """Tell whether the learner of this name has what `ebm.apply.chain.Chain` asks of it."""
    import inspect

    kind = learner_class(name)
    starts = inspect.isfunction(getattr(kind, "noise", None)) and hasattr(kind, "log_density")
    return starts and "chain" in kind.Settings.model_fields


def refusal(name: str, application: str) -> str | None:
    """Say why the learner of this name cannot do an application, None where it can.

    Args:
        application: a name of `apply`, or fine_tune, of `classify`.
    """
    kind = learner_class(name)
    if application == "inpaint":
        return None if inpaints(name) else "cannot inpaint: its `sample` takes no `fixed`"
    if application == "latent":
        return (
            None
            if hasattr(kind, "posterior")
            else "has no latent z: it has no `posterior`, which latent needs"
        )
    if application == "fine_tune":
        found = hasattr(kind, "posterior")
        return "infers its features by chains, which have no gradient to tune by" if found else None
    if application == "conditional_chains":
        return None if hasattr(kind, "recover") else "has no `recover` for conditional_chains"
    if application == "interpolate" and hasattr(kind, "run"):
        return None
    if application in ("classifier", "rounds"):
        needed = "classifiers" if application == "classifier" else "rounds"
        has = hasattr(kind, needed)
        return None if has else f"has no method `{needed}`"
    return None if has_chain(name) else f"has no single chain from noise for {application} to run"
