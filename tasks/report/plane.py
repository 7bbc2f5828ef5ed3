"""The report's pictures of what is judged in a way of its own: what each shows, in words."""

from collections.abc import Sequence
from typing import Any

CAPTIONS = {
    "densities": "From the left: the density that the data were drawn from; the model's, exp(f) "
    "divided by its sum over the grid, in the same colours; samples; and the logarithm of the "
    "model's density less that of the data's. Blue is where the model misses data, red where it "
    "has mass too much; grey is not compared, as there is next to nothing of either.",
    "both_kls": "Covering and focusing: a single Gaussian (lines at half, one and two standard "
    "deviations) cannot be the data's density (grey). Left, with the least KL(data, Gaussian), "
    "which maximum likelihood descends, it covers all data and what lies between; right, with the "
    "least KL(Gaussian, data), it settles where data are and misses the rest.",
    "mode_shifting": "Mode seeking and mode shifting, at some updates of a short repetition of the "
    "learning. Above: the chains of the update, from their starts (rings) to their ends (dots), on "
    "f + log q; its mean rise along them, in nats, stands above. Below: what a small step of "
    "gradient ascent on them adds to f, up to a constant, where the model has mass: red where f "
    "rises and blue where it falls, with data and the chains' ends; its mean at both stands above. "
    "Modes grow where data are and no samples, and shrink where samples are and no data.",
    "properties": "Properties of molecules: of held-out ones, grey, and of valid samples, a line.",
    "strangest": "The test images that the model finds strangest, the strangest first (split A).",
    "most_normal": "The test images that it finds most normal, the most normal first (split A).",
    "precision_recall": "Precision by recall on split A, a line a seed.",
    "fans": "Where agents of the held-out part were seen (black) and went (green), the predictions "
    "(blue), and who was beside them (orange), over all positions of that part (grey); below, by "
    "the same networks with beliefs of the Gaussian prior, without the energy. From left to right, "
    "from who went straight to who turned most.",
    "chains": "The chains from their start, at the left, to the samples, at the right.",
}


def captioned(found: Sequence[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return pictures, given by name, with what each shows.

    >>> captioned([("own", {"width": 3})])
    [{'width': 3, 'caption': 'own'}]
    """
    return [{**image, "caption": CAPTIONS.get(stem, stem)} for stem, image in found]
