"""Validity, uniqueness and novelty of generated molecules, each by both denominators.

Of n generated strings, v have a molecule, these have u different canonical SMILES, and w of those
are of no training molecule:

    valid = v / n
    unique of the valid = u / v,      unique of all = u / n
    novel of the unique = w / u,      novel of all = w / n

Protocol: a string is valid if RDKit reads it, with its default sanitisation, and it is not empty;
nothing is corrected, rejected or drawn again. Molecules are the same if their canonical SMILES are,
stereochemistry included, by one version of RDKit for both sides. Published figures leave out which
denominator is meant: of all, neither uniqueness nor novelty can exceed validity.

Sources: the measures: Brown, Fiscato, Segler and Vaucher, arXiv 1811.09621, and Polykovskiy et al.,
arXiv 1811.12823; the table of the latent-space EBM: Pang, Han and Wu, arXiv 2010.09351. RDKit is
Landrum's.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from ebm.datasets.loaded import Tell, silent

REVISION = 1


class Counts(NamedTuple):
    """How many strings of one draw are what.

    Attributes:
        all: n, generated.
        valid: v, with a molecule.
        unique: u, different molecules.
        novel: w, of these, those that are no training molecule.
    """

    all: int
    valid: int
    unique: int
    novel: int

    def shares(self) -> dict[str, float]:
        """Return the five shares, in [0, 1]; 0 where there is nothing to take one of."""
        n, v, u, w = self
        return {
            "valid": v / n,
            "unique_of_valid": u / v if v else 0.0,
            "unique_of_all": u / n,
            "novel_of_unique": w / u if u else 0.0,
            "novel_of_all": w / n,
        }


def molecule(smiles: str) -> Any:
    """Return RDKit's molecule of a SMILES, None where it is empty or has none.

    >>> molecule("c1ccccc1").GetNumAtoms(), molecule("c1cccc1"), molecule("")
    (6, None, None)
    """
    from rdkit import Chem, RDLogger

    RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined]  # a wrong string is no news here
    try:
        return Chem.MolFromSmiles(smiles) if smiles else None
    except RuntimeError:  # what is read, and then cannot be perceived
        return None


def canonical(smiles: Iterable[str], tell: Tell = silent) -> list[str | None]:
    """Return the canonical SMILES of each string, None where it has no molecule.

    >>> canonical(["OC", "CO", "C("])
    ['CO', 'CO', None]
    """
    from rdkit import Chem

    given = list(smiles)
    found: list[str | None] = []
    for each in given:
        read = molecule(each)
        found.append(None if read is None else Chem.MolToSmiles(read))
        if len(found) % 1000 == 0:
            tell(len(found), len(given))
    return found


def counts(generated: Sequence[str | None], training: Collection[str]) -> Counts:
    """Count what was generated.

    Args:
        generated: canonical SMILES of each string, None where it has no molecule; 1 or more.
        training: canonical SMILES of the training molecules.

    Raises:
        ValueError: nothing was generated.

    >>> counts(["CO", "CO", None, "CN"], {"CN"})
    Counts(all=4, valid=3, unique=2, novel=1)
    """
    if not len(generated):
        raise ValueError("there are 0 generated strings; give 1 or more")
    valid = [each for each in generated if each is not None]
    unique = set(valid)
    return Counts(len(generated), len(valid), len(unique), len(unique.difference(training)))
