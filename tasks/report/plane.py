"""The report's pictures of points in the plane: what each shows, in words."""

from collections.abc import Sequence
from typing import Any

CAPTIONS = {
    "densities": "From the left: the density that the data were drawn from; the model's, exp(f) "
    "divided by its sum over the grid, in the same colours; samples; and the logarithm of the "
    "model's density less that of the data's. Blue is where the model misses data, red where it "
    "has mass too much; grey is not compared, as there is next to nothing of either.",
    "chains": "The chains from their start, at the left, to the samples, at the right.",
}


def captioned(found: Sequence[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return pictures, given by name, with what each shows.

    >>> captioned([("own", {"width": 3})])
    [{'width': 3, 'caption': 'own'}]
    """
    return [{**image, "caption": CAPTIONS.get(stem, stem)} for stem, image in found]
