"""Data sets by name: one loader a source, each with its licence and checksum."""

from importlib import import_module
from typing import Any

from ebm.datasets.source import Source
from ebm.names import hint

LOADERS = (
    *("anime_faces", "cifar10", "densities", "digits", "eth_ucy", "faces", "fashion", "folder"),
    *("mnist", "mnist_anomaly", "moses", "sdd", "textures", "zinc250k"),
)

# Of networks: fetched alike, loaded by who uses them.
WEIGHTS = ("efficientnet", "inception", "vgg16")

# Formulas, the user's own pictures, and another view of what is fetched: nothing is fetched.
OWN = ("densities", "folder", "mnist_anomaly")

FETCHED = tuple(sorted({*LOADERS, *WEIGHTS} - set(OWN)))


def loader(name: str) -> Any:
    """Return the module that loads a source.

    It has a SOURCE, `Options`, the settings of its own (None: it has none), and
    `load(raw, options, tell)`, which returns `ebm.datasets.loaded.Loaded`. ITEMS says what its
    items are where they are no images.

    Raises:
        ValueError: there is none of this name.
    """
    if name not in LOADERS:
        raise ValueError(f"there is no data source {name!r}; {hint(name, LOADERS)}")
    return import_module(f"ebm.datasets.{name}")


def source_of(name: str) -> Source:
    """Return where a data set or a network's weights come from.

    Raises:
        ValueError: there is none of this name.
    """
    if name not in LOADERS and name not in WEIGHTS:
        raise ValueError(f"there is no data source {name!r}; {hint(name, FETCHED)}")
    module = import_module(f"ebm.datasets.{name}")
    found: Source = module.SOURCE
    return found
