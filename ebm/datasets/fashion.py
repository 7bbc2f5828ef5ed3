"""Fashion-MNIST: articles of clothing, 28x28, with their official test part."""

from pathlib import Path

from ebm.datasets.idx import Options, files, load_parts
from ebm.datasets.loaded import Loaded, Tell, silent
from ebm.datasets.source import Source

__all__ = ["Options"]

REVISION = 1

FIRST = "train-first20000"
TEST = files(
    "t10k",
    images="5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    labels="0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
)
SHORT = Source(
    title="Fashion-MNIST (the first 20,000 training images)",
    licence="MIT",
    credit="Xiao, Rasul and Vollgraf, arXiv 1708.07747, 2017",
    files={
        **files(
            FIRST,
            images="f675812a188eaff57e6cc99252d4b1fa2d27bc3e00cec09f67474894e24358ad",
            labels="c1d29b30febfce7b7c5d4dfc17d6ab9f9f8e49101ae51e79e3b24d5df6a1317e",
        ),
        **TEST,
    },
    folder="FashionMNIST/raw",
)
SOURCE = SHORT._replace(
    title="Fashion-MNIST",
    files={
        **files(
            "train",
            images="c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            labels="bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
        **TEST,
    },
    debian=("dataset-fashion-mnist", "/usr/share/datasets/fashion-mnist"),
    address="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    gzipped=True,
    otherwise=SHORT,
)


def load(raw: Path, options: Options, tell: Tell = silent) -> Loaded:
    """Return the first training images, and after them the 10,000 official test images.

    Both forms of the training files give the same images as long as `items` is at most 20,000.
    Images are (N, 1, size, size) in [-1, 1], ground -1; the labels are the ten kinds of article.

    Raises:
        ValueError: a file is missing or damaged, or an option asks for what there is not.
    """
    short = (raw / f"{FIRST}-images-idx3-ubyte").exists()
    return load_parts(raw, FIRST if short else "train", options)
