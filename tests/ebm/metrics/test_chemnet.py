"""FCD: the activations are those of the package, and the distance is that of the formula."""

import numpy as np
import pytest

from ebm.metrics.chemnet import activations, fcd

pytest.importorskip("fcd_torch")
pytest.importorskip("rdkit")

SMILES = ["CCO", "c1ccccc1", "CC(=O)Nc1ccc(O)cc1", "C[C@@H](N)C(=O)O", "ClCCBr"]


def test_activations_are_those_that_fcd_torch_computes() -> None:
    import torch
    from fcd_torch import FCD
    from fcd_torch.utils import SmilesDataset

    batch = torch.from_numpy(np.stack([SmilesDataset(SMILES)[i] for i in range(len(SMILES))]))
    with torch.no_grad():
        right = FCD(device="cpu", n_jobs=1).model(batch.transpose(1, 2).float()).numpy()
    told: list[tuple[int, int]] = []
    found = activations(SMILES, lambda *counts: told.append(counts))
    assert found.shape == (5, 512) and np.allclose(found, right, atol=1e-6)
    assert told == [(5, 5)]
    assert np.allclose(activations(SMILES[1:2]), found[1:2], atol=1e-6)


def test_distance_of_a_shifted_set_is_the_squared_shift() -> None:
    x = np.random.default_rng(0).normal(size=(600, 512))
    assert fcd(x, x + 0.5) == pytest.approx(512 * 0.25)
    assert fcd(x, x) == pytest.approx(0, abs=1e-9)


def test_what_has_no_distance_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the second set has shape \(600, 4\); for FCD it must"):
        fcd(np.zeros((600, 512)), np.zeros((600, 4)))
    with pytest.raises(ValueError, match="has 500 rows of 512 features"):
        fcd(np.zeros((500, 512)), np.zeros((600, 512)))
    with pytest.raises(ValueError, match="there are 0 molecules"):
        activations([])
    with pytest.raises(ValueError, match=r"has 350 characters; ChemNet sees 349"):
        activations(["C" * 350])
