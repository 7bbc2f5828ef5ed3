"""MNIST: handwritten digits, 28x28, with their official test part."""

from pathlib import Path

from ebm.datasets.idx import Options, files, load_parts
from ebm.datasets.loaded import Loaded, Tell, silent
from ebm.datasets.source import Source

__all__ = ["Options"]

REVISION = 1

SOURCE = Source(
    title="MNIST database of handwritten digits",
    licence="CC BY-SA 3.0",
    credit="LeCun, Cortes and Burges, 1998, from NIST's special databases 1 and 3",
    files={
        **files(
            "train",
            images="ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            labels="65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        **files(
            "t10k",
            images="0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            labels="ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    },
    folder="MNIST/raw",
    address="https://ossci-datasets.s3.amazonaws.com/mnist",
    gzipped=True,
)


def load(raw: Path, options: Options, tell: Tell = silent) -> Loaded:
    """Return the first training images, and after them the 10,000 official test images.

    Images are (N, 1, size, size) in [-1, 1], ink 1 on ground -1; labels are the digits.

    Raises:
        ValueError: a file is missing or damaged, or an option asks for what there is not.
    """
    return load_parts(raw, "train", options)
