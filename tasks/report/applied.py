"""The report's sections of applications other than inpainting: rows and pictures of each."""

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.apply_settings import APPLICATIONS
from tasks.report.figures import pivot

TITLES = {
    "interpolate": "Interpolation",
    "reconstruct": "Reconstruction",
    "long_chains": "Long chains",
    "moments": "Moment matching",
    "hopfield": "Modes reconstruct themselves",
    "statistics": "Response statistics",
    "conditional_chains": "Long conditional chains",
    "classifier": "The classifier",
    "rounds": "Round by round",
    "translate": "Translation",
    "latent": "Latent space",
}
CAPTIONS = {  # by picture
    "interpolate": "A line a strip: from the start z2 on the left to z1 on the right, one noise.",
    "reconstruct_error": "The error as the search goes on, mean over the images.",
    "long_chains_noise": "A column a chain from noise; lines after 0, 1, 10, 100, ... steps, K "
    "among them.",
    "long_chains_data": "A column a chain from a test image; lines after 0, 1, 10, 100, ... steps, "
    "K among them.",
    "long_chains_score": "Mean log p along the chains, less that of test images.",
    "hopfield": "A column a sample: x, s^2 grad f(x), the mode that x climbs to, and s^2 grad f of "
    "the mode, which is the mode itself.",
    "statistics": "Squares learned from, squares held out, and samples.",
    "statistics_learned": "What was learned: potentials by filter; of weights by position, the "
    "filters at their places, by scale and in all, what the model likes and what it avoids; of "
    "selected wavelets the same by family, and where they make the reference brighter or darker.",
    "conditional_chains": "A column a test image, four lines a level, the least noisy on top: "
    "x_{t+1}, and x_t after K, some and many steps from it.",
    "statistics_larger": "A synthesis larger than what was learned from.",
    "classifier_reliability": "How often it is right, by how sure it says it is.",
    "classifier_density": "How log sum_c exp f_c is spread: images, and those of other data.",
    "classifier_attacks": "Accuracy under attacks of growing size.",
    "classifier_changed": "A column an image: as it is, and under the largest attack on each.",
    "rounds": "A column a chain: noise, then its pseudo-negative after each round.",
    "rounds_accuracy": "How well each round tells held-out data from pseudo-negatives.",
    "latent_reconstructions": "A column a held-out image: the image, what the model makes of its "
    "z, and as many principal components.",
    "latent_ways": "A line a way: a held-out image, what lies between its z and another's, and the "
    "other image.",
    "latent_long": "A column a chain of the prior from N(0, I): after 0, K0, and ever more steps.",
    "latent_long_log_p": "Mean of f(z) - |z|^2 / 2 along the long chains: it levels off where the "
    "prior is sound.",
    "latent_long_spread": "Standard deviation of z along the long chains; dashed: of inferred z.",
    "latent_landscape": "The learned prior's log density over z, up to a constant, with z of "
    "held-out images; and N(0, I).",
    "translate": "A column a held-out image of the source: the image, the chain's states, the last "
    "the translation; where its pixels moved, the lighter the farther; the target's training image "
    "that is nearest to the translation.",
}
SEARCH = "A column an image of {of}: what the start found so far is turned into, then the image."


def owner(name: str) -> str | None:
    """Return the application other than inpainting that a picture or metric is of, None of none.

    >>> owner("long_chains_noise"), owner("half")
    ('long_chains', None)
    """
    return next((each for each in TITLES if f"{name}_".startswith(f"{each}_")), None)


def caption(picture: str) -> str:
    """Say what a picture shows."""
    search = SEARCH.format(of=picture.removeprefix("reconstruct_").replace("_", " "))
    if picture.startswith("latent_hole_"):
        return "A column a held-out image: what is seen, the fill, and the image."
    return CAPTIONS.get(picture) or (search if picture.startswith("reconstruct_") else "")


def sections(
    rows: Sequence[Mapping[str, Any]],
    pictures: Sequence[tuple[str, Mapping[str, Any]]],
    asked: Sequence[str],
) -> list[dict[str, Any]]:
    """Return a section an application that is asked for and left something, in their order.

    Returns:
        Each with `name`, `title`, `figures` (with the `pivot` of its rows, or None) and `pictures`,
        each an image with its `caption`.
    """
    found = []
    for name in (each for each in APPLICATIONS if each in TITLES and each in asked):
        own = [row for row in rows if owner(row["metric"]) == name]
        shown = [{**p, "caption": caption(stem)} for stem, p in pictures if owner(stem) == name]
        if own or shown:
            figures = {"pivot": pivot(own), "rows": own} if own else None
            section = {"name": name, "title": TITLES[name], "figures": figures}
            found.append({**section, "pictures": shown})
    return found
