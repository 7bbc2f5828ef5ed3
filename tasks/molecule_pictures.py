"""Pictures of molecules and of their properties; the same molecules give the same bytes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ebm.metrics.molecules import molecule
from ebm.metrics.properties import PROPERTIES

CELL = (190, 150)  # pixels of a drawn molecule
COLUMNS = 6
BINS = 60
DATA, MODEL = "#bbbbbb", "#0072b2"


def draw_molecules(smiles: Sequence[str], path: Path) -> None:
    """Draw molecules in rows, in the order given; where a string has none, it says so."""
    from rdkit import Chem
    from rdkit.Chem.Draw import rdMolDraw2D

    read = [molecule(each) for each in smiles]
    shown = [Chem.Mol() if each is None else each for each in read]
    legends = ["not valid" if each is None else "" for each in read]
    for each in shown:
        rdMolDraw2D.PrepareMolForDrawing(each)
    rows = -(-len(shown) // COLUMNS)
    sheet = rdMolDraw2D.MolDraw2DCairo(CELL[0] * COLUMNS, CELL[1] * rows, *CELL)
    sheet.DrawMolecules(shown, legends=legends)
    sheet.FinishDrawing()
    path.write_bytes(sheet.GetDrawingText())


def draw_properties(
    data: Mapping[str, np.ndarray], model: Mapping[str, np.ndarray], held: str, path: Path
) -> None:
    """Picture the histogram of each property: of held-out molecules, grey, and of samples, a line.

    Args:
        data: of held-out molecules, (N,) by name.
        model: of valid samples, (M,) by the same names.
        held: name of the held-out part.
        path: the picture.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        figure = Figure(figsize=(3.4 * len(PROPERTIES), 2.8), layout="constrained")
        for axes, (name, label) in zip(
            figure.subplots(1, len(PROPERTIES)), PROPERTIES.items(), strict=True
        ):
            both = np.concatenate([data[name], model[name]])
            low, high = map(float, np.quantile(both, [0.001, 0.999]))
            bins = np.linspace(low, high, BINS + 1)
            look = {"bins": bins, "density": True}
            axes.hist(data[name], color=DATA, label=f"{held} molecules", **look)
            axes.hist(model[name], histtype="step", color=MODEL, label="samples", **look)
            axes.set_xlabel(label, size=9)
            axes.set_yticks([])
            axes.tick_params(labelsize=7)
        figure.axes[0].legend(fontsize=7, frameon=False)
        figure.savefig(path, dpi=100, metadata={"Software": None})
